package maintenance

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/secrets"
)

// resealBatch is how many jobs are read at a time.
const resealBatch = 500

// Reseal seals the secrets of all jobs with the first key, and returns of how many jobs it did, and how many are left as they
// were because they do not open or were changed meanwhile; doing it again finds those. It is safe beside the service. The
// error is secrets.ErrNoKey where there is no key, or the database's.
func Reseal(ctx context.Context, q *db.Queries, keys secrets.Keyring, log *slog.Logger) (resealed, left int, err error) {
	current, ok := keys.Current()
	if !ok {
		return 0, 0, secrets.ErrNoKey
	}
	for last := uuid.Nil; ; {
		rows, err := q.ListSealedUnderOtherKeys(ctx, db.ListSealedUnderOtherKeysParams{
			KeyID: current, After: last, MaxRows: resealBatch,
		})
		if err != nil {
			return resealed, left, fmt.Errorf("list what other keys have sealed: %w", err)
		}
		for _, row := range rows {
			last = row.ID
			switch done, err := resealOne(ctx, q, keys, row); {
			case err != nil:
				return resealed, left, err
			case done:
				resealed++
			default:
				left++
				log.WarnContext(ctx, "secrets left as they were: they do not open, or were changed meanwhile",
					"jobId", row.ID, "keyId", *row.SecretsKeyID)
			}
		}
		if len(rows) < resealBatch {
			return resealed, left, nil
		}
	}
}

func resealOne(ctx context.Context, q *db.Queries, keys secrets.Keyring, row db.ListSealedUnderOtherKeysRow) (bool, error) {
	old := secrets.Sealed{KeyID: *row.SecretsKeyID, Ciphertext: row.SealedSecrets}
	sealed, err := keys.Reseal(old, row.ID[:])
	if err != nil {
		return false, nil //nolint:nilerr // one that does not open is not to keep the others from it
	}
	n, err := q.Reseal(ctx, db.ResealParams{
		ID: row.ID, Sealed: old.Ciphertext, Resealed: sealed.Ciphertext, KeyID: sealed.KeyID,
	})
	if err != nil {
		return false, fmt.Errorf("store what was sealed anew: %w", err)
	}
	return n == 1, nil
}
