// Package policy says what comes next for a stored job. It is pure: API and poller share it, so that both mean the same.
package policy

import (
	"fmt"
	"sync"
	"time"

	// The service must know the zones, whatever the machine knows.
	_ "time/tzdata"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/schedule"
)

// Schedule returns when a stored job is due. An error means that what is stored cannot be: a zone that this version's
// time zone database does not know, say.
func Schedule(job *db.Job) (schedule.Schedule, error) {
	s := schedule.Schedule{
		Start: clock.OrZero(job.StartAt), Jitter: schedule.Jitter(job.ID, int64(job.JitterSeconds)),
	}
	if job.EndAt != nil {
		s.End = clock.Later(*job.EndAt, time.Time{}.Add(1)) // the zero time would be no bound
	}
	switch {
	case job.IntervalSeconds != nil:
		s.Grid = schedule.NewInterval(*job.AnchorAt, *job.IntervalSeconds)
	case job.Cron != nil:
		cron, err := parseCron(*job.Cron, *job.TimeZone, job.ID)
		if err != nil {
			return schedule.Schedule{}, fmt.Errorf("schedule of job %s: %w", job.ID, err)
		}
		s.Grid = cron
	default:
		s.Grid = schedule.Once{At: *job.RunAt}
	}
	return s, nil
}

// Anchor returns the anchor of an interval's grid, for a job that is made at now: the first occurrence is one interval
// later, or at the start where one is given.
func Anchor(intervalSeconds int64, start *time.Time, now time.Time) time.Time {
	if start != nil {
		return start.Add(-time.Duration(intervalSeconds) * time.Second)
	}
	return now
}

// crons remembers parsed expressions: parsing costs more than what follows it, and a job's is needed at each of its runs.
var crons = cronCache{parsed: map[cronKey]schedule.Grid{}}

// maxCrons bounds what is remembered. Past it all is forgotten, which costs less than knowing what is needed.
const maxCrons = 100_000

type cronKey struct {
	expression, zone string
	seed             uint64
}

type cronCache struct {
	mu     sync.RWMutex
	parsed map[cronKey]schedule.Grid
}

func parseCron(expression, zone string, job uuid.UUID) (schedule.Grid, error) {
	key := cronKey{expression, zone, schedule.Seed(job)}
	crons.mu.RLock()
	cron, ok := crons.parsed[key]
	crons.mu.RUnlock()
	if ok {
		return cron, nil
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("time zone: %w", err)
	}
	if cron, err = schedule.ParseCron(expression, location, key.seed); err != nil {
		return nil, err
	}
	crons.mu.Lock()
	defer crons.mu.Unlock()
	if len(crons.parsed) >= maxCrons {
		clear(crons.parsed)
	}
	crons.parsed[key] = cron
	return cron, nil
}
