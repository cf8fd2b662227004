// Package reseal encrypts the stored secrets of jobs and connections, and the keys that sign
// tokens, with the current key, so that older keys are no longer needed.
package reseal

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/secrets"
)

// batchSize is how many rows are read at a time.
const batchSize = 500

// row is a thing with secrets.
type row struct {
	id         uuid.UUID
	keyID      string
	ciphertext []byte
}

// things are the rows of one table.
type things struct {
	// name is that of the id in the log.
	name string
	// list returns rows whose secrets another key has sealed, by id, after one.
	list func(ctx context.Context, current string, after uuid.UUID) ([]row, error)
	// store replaces the secrets of a row, unless somebody has changed them, and returns how many
	// rows it changed.
	store func(ctx context.Context, old row, sealed secrets.Sealed) (int64, error)
}

// All encrypts all secrets with the first key. It returns how many jobs, connections and keys that
// sign tokens it changed, and how many it left unchanged because their secrets could not be
// decrypted or were edited meanwhile; call it again for those. It is safe while the service runs.
// It returns secrets.ErrNoKey if there is no key.
func All(ctx context.Context, q *db.Queries, keys secrets.Keyring, log *slog.Logger) (resealed, left int, err error) {
	for _, of := range []things{jobsOf(q), connectionsOf(q), tokenKeysOf(q)} {
		done, kept, err := of.reseal(ctx, keys, log)
		resealed, left = resealed+done, left+kept
		if err != nil {
			return resealed, left, err
		}
	}
	return resealed, left, nil
}

func (of things) reseal(ctx context.Context, keys secrets.Keyring, log *slog.Logger) (resealed, left int, err error) {
	current, ok := keys.Current()
	if !ok {
		return 0, 0, secrets.ErrNoKey
	}
	for last := uuid.Nil; ; {
		rows, err := of.list(ctx, current, last)
		if err != nil {
			return resealed, left, fmt.Errorf("list secrets that another key has sealed: %w", err)
		}
		for _, old := range rows {
			last = old.id
			switch isResealed, err := of.resealOne(ctx, keys, old); {
			case err != nil:
				return resealed, left, err
			case isResealed:
				resealed++
			default:
				left++
				log.WarnContext(ctx, "could not re-encrypt secrets: no key opens them, or they were edited meanwhile",
					of.name, old.id, "keyId", old.keyID)
			}
		}
		if len(rows) < batchSize {
			return resealed, left, nil
		}
	}
}

// resealOne encrypts the secrets of one row, and reports whether it did.
func (of things) resealOne(ctx context.Context, keys secrets.Keyring, old row) (bool, error) {
	sealed, err := keys.Reseal(secrets.Sealed{KeyID: old.keyID, Ciphertext: old.ciphertext}, old.id[:])
	if err != nil {
		return false, nil //nolint:nilerr // secrets that do not open must not stop the others
	}
	n, err := of.store(ctx, old, sealed)
	if err != nil {
		return false, fmt.Errorf("store re-encrypted secrets: %w", err)
	}
	return n == 1, nil
}

func jobsOf(q *db.Queries) things {
	return things{
		name: "jobId",
		list: func(ctx context.Context, current string, after uuid.UUID) ([]row, error) {
			found, err := q.ListSealedUnderOtherKeys(ctx, db.ListSealedUnderOtherKeysParams{KeyID: current, After: after, MaxRows: batchSize})
			rows := make([]row, len(found))
			for i, f := range found {
				rows[i] = row{f.ID, *f.SecretsKeyID, f.SealedSecrets}
			}
			return rows, err
		},
		store: func(ctx context.Context, old row, sealed secrets.Sealed) (int64, error) {
			return q.Reseal(ctx, db.ResealParams{
				ID: old.id, Sealed: old.ciphertext, Resealed: sealed.Ciphertext, KeyID: sealed.KeyID, Digest: sealed.Digest,
			})
		},
	}
}

func connectionsOf(q *db.Queries) things {
	return things{
		name: "connectionId",
		list: func(ctx context.Context, current string, after uuid.UUID) ([]row, error) {
			found, err := q.ListSealedConnections(ctx, db.ListSealedConnectionsParams{KeyID: current, After: after, MaxRows: batchSize})
			rows := make([]row, len(found))
			for i, f := range found {
				rows[i] = row{f.ID, *f.SecretsKeyID, f.SealedSecrets}
			}
			return rows, err
		},
		store: func(ctx context.Context, old row, sealed secrets.Sealed) (int64, error) {
			return q.ResealConnection(ctx, db.ResealConnectionParams{
				ID: old.id, Sealed: old.ciphertext, Resealed: sealed.Ciphertext, KeyID: sealed.KeyID,
			})
		},
	}
}

func tokenKeysOf(q *db.Queries) things {
	return things{
		name: "tokenKeyId",
		list: func(ctx context.Context, current string, after uuid.UUID) ([]row, error) {
			found, err := q.ListSealedTokenKeys(ctx, db.ListSealedTokenKeysParams{KeyID: current, After: after, MaxRows: batchSize})
			rows := make([]row, len(found))
			for i, f := range found {
				rows[i] = row{f.ID, f.SecretsKeyID, f.SealedKey}
			}
			return rows, err
		},
		store: func(ctx context.Context, old row, sealed secrets.Sealed) (int64, error) {
			return q.ResealTokenKey(ctx, db.ResealTokenKeyParams{
				ID: old.id, Sealed: old.ciphertext, Resealed: sealed.Ciphertext, KeyID: sealed.KeyID,
			})
		},
	}
}
