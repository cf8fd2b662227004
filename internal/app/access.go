package app

import (
	"context"
	"fmt"
	"log/slog"

	"punctual/gen/db"
	"punctual/internal/access"
)

// authenticator finds out who makes a request. It is nil if nobody has to say who they are.
func (a *App) authenticator() *access.Authenticator {
	if !a.config.needsAuth() {
		return nil
	}
	who := &access.Authenticator{Keys: a.keys}
	if a.tokens.verifier != nil {
		who.Tokens = a.tokens.verifier
	}
	return who
}

// warnOfNobody logs that nobody can call this instance, and what to do about it.
func warnOfNobody(ctx context.Context, q *db.Queries, c Config, log *slog.Logger) error {
	if !c.needsAuth() || c.Role == RolePoller || c.OIDCIssuer != "" {
		return nil
	}
	isThereAKey, err := q.IsAnyKeyValid(ctx)
	if err != nil {
		return fmt.Errorf("look for a key: %w", err)
	}
	if !isThereAKey {
		log.WarnContext(ctx, "nobody can use the API, because there is no key: create one with `punctual keys create`", "host", c.Host)
	}
	return nil
}
