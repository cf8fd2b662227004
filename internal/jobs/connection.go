package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/executor"
)

// holdConnection keeps a connection that a job is about to use from being deleted until the end of
// the transaction. It returns an Invalid if there is none. No connection is an empty text.
func holdConnection(ctx context.Context, tx *db.Queries, namespace, key string) error {
	if key == "" {
		return nil
	}
	_, err := tx.HoldConnection(ctx, db.HoldConnectionParams{Namespace: namespace, Key: key})
	if errors.Is(err, pgx.ErrNoRows) {
		return &Invalid{[]Field{{"target.connection", NotFound, "there is no connection with this key"}}}
	}
	if err != nil {
		return fmt.Errorf("look for the connection of a job: %w", err)
	}
	return nil
}

// holdConnections is holdConnection for new jobs. It holds the connections in the order of their
// keys, so that two transactions do not wait for each other.
func (e *edit) holdConnections(ctx context.Context, all []newcomer) error {
	users := map[string]string{} // the name of the first job that uses each
	var keys []string
	for i := range all {
		key := executor.ConnectionOf(all[i].Target)
		if _, isKnown := users[key]; key != "" && !isKnown {
			users[key] = all[i].name
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var wrong []Field
	for _, key := range keys {
		faults, err := within(users[key], holdConnection(ctx, e.Queries, e.by.Namespace, key))
		if err != nil {
			return err
		}
		wrong = append(wrong, faults...)
	}
	return InvalidIfAny(wrong)
}
