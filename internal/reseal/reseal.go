// Package reseal encrypts the stored secrets of jobs with the current key, so that older keys are
// no longer needed.
package reseal

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/secrets"
)

// batchSize is how many jobs are read at a time.
const batchSize = 500

// Jobs encrypts the secrets of all jobs with the first key. It returns how many jobs it changed,
// and how many it left unchanged because their secrets could not be decrypted or were edited
// meanwhile; call it again for those. It is safe while the service runs. It returns
// secrets.ErrNoKey if there is no key.
func Jobs(ctx context.Context, q *db.Queries, keys secrets.Keyring, log *slog.Logger) (resealed, left int, err error) {
	current, ok := keys.Current()
	if !ok {
		return 0, 0, secrets.ErrNoKey
	}
	for last := uuid.Nil; ; {
		rows, err := q.ListSealedUnderOtherKeys(ctx, db.ListSealedUnderOtherKeysParams{
			KeyID: current, After: last, MaxRows: batchSize,
		})
		if err != nil {
			return resealed, left, fmt.Errorf("list jobs whose secrets another key has sealed: %w", err)
		}
		for _, row := range rows {
			last = row.ID
			switch isResealed, err := job(ctx, q, keys, row); {
			case err != nil:
				return resealed, left, err
			case isResealed:
				resealed++
			default:
				left++
				log.WarnContext(ctx,
					"could not re-encrypt the secrets of a job: no key opens them, or they were edited meanwhile",
					"jobId", row.ID, "keyId", *row.SecretsKeyID)
			}
		}
		if len(rows) < batchSize {
			return resealed, left, nil
		}
	}
}

// job encrypts the secrets of one job, and reports whether it did.
func job(ctx context.Context, q *db.Queries, keys secrets.Keyring, row db.ListSealedUnderOtherKeysRow) (bool, error) {
	old := secrets.Sealed{KeyID: *row.SecretsKeyID, Ciphertext: row.SealedSecrets}
	sealed, err := keys.Reseal(old, row.ID[:])
	if err != nil {
		return false, nil //nolint:nilerr // secrets that do not open must not stop the others
	}
	n, err := q.Reseal(ctx, db.ResealParams{
		ID: row.ID, Sealed: old.Ciphertext, Resealed: sealed.Ciphertext, KeyID: sealed.KeyID, Digest: sealed.Digest,
	})
	if err != nil {
		return false, fmt.Errorf("store re-encrypted secrets: %w", err)
	}
	return n == 1, nil
}
