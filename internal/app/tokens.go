package app

import (
	"context"
	"log/slog"

	"punctual/internal/access/oidc"
)

// tokens verifies the tokens of an identity provider, if there is one.
type tokens struct{ verifier *oidc.Verifier }

func newTokens(ctx context.Context, c Config, log *slog.Logger) (tokens, error) {
	if c.OIDCIssuer == "" {
		return tokens{}, nil
	}
	if !c.needsAuth() {
		log.WarnContext(ctx, "tokens of OIDC_ISSUER are not looked at, because everybody may do everything: set AUTH=required")
	}
	verifier, err := oidc.New(oidc.Config{
		Issuer: c.OIDCIssuer, Audience: c.OIDCAudience, Grants: c.OIDCGrants, Logger: log,
	})
	return tokens{verifier}, err
}

// run follows the keys of the issuer until ctx ends.
func (t tokens) run(ctx context.Context) {
	if t.verifier != nil {
		t.verifier.Run(ctx)
	}
}
