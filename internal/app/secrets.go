package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"punctual/gen/db"
	"punctual/internal/secrets"
)

// warnOfMissingKeys logs how many jobs and connections have secrets that none of the keys can
// decrypt. Without the warning, nobody would notice before these jobs run and fail.
func warnOfMissingKeys(ctx context.Context, q *db.Queries, keys secrets.Keyring, log *slog.Logger) error {
	sealed, err := q.CountSealed(ctx)
	if err != nil {
		return fmt.Errorf("count secrets by their keys: %w", err)
	}
	var things int64
	var missing []string
	for _, row := range sealed {
		if !keys.Has(row.KeyID) {
			things += row.Things
			missing = append(missing, row.KeyID)
		}
	}
	if things > 0 {
		log.WarnContext(ctx, "SECRET_KEYS lacks keys that stored secrets need; runs of these jobs, and of jobs with these connections, will fail",
			"jobsAndConnections", things, "missingKeys", strings.Join(missing, ","))
	}
	return nil
}
