package jobs

import (
	"context"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/history"
)

// RecentRun is a run in short.
type RecentRun = db.ListRecentRunsRow

// MaxRecent is how many of the latest runs of a job are read at most.
const MaxRecent int32 = 30

// RecentRuns returns the latest runs of jobs of the caller's namespace, newest first, by job: at
// most so many of each, of the last 30 days. Runs that were asked for at an instant to come are not
// among them.
func (s *Service) RecentRuns(ctx context.Context, by access.Caller, jobs []uuid.UUID, count int32) (map[uuid.UUID][]RecentRun, error) {
	now, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return nil, err
	}
	return history.Recent(ctx, s.Pool, by.Namespace, jobs, now.Add(ahead), int(count))
}
