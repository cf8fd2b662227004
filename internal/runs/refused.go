package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
	"punctual/internal/policy"
)

// Refused is how a run ended, and why the database refuses to store that.
type Refused struct {
	*Ended
	Err error
}

const (
	// maxRefusals is how often a run is stored as it ended before it is stored as failed instead:
	// the refusal may be of another row that is gone soon.
	maxRefusals = 4
	// firstDelay and maxDelay bound the time between two tries, which doubles.
	firstDelay = 200 * time.Millisecond
	maxDelay   = time.Minute
)

// SaveRefused stores a run that Save could not store, with increasing delays, until ctx ends. After
// some tries it stores the run as failed, without what it said, and with an error that says why.
// It reports whether the run was lost, as Saved says.
func (s Store) SaveRefused(ctx context.Context, r Refused) (isLost bool, err error) {
	s.Logger.ErrorContext(ctx, "the database refuses to store how a run ended; it is tried again and then stored as failed",
		"namespace", r.Job.Namespace, "jobId", r.Due.JobID, "runId", r.RunID(), "error", r.Err)
	delay := firstDelay
	for refusals := 1; ; {
		if refusals == maxRefusals {
			r.giveUp(r.Err)
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("store a refused run: %w", errors.Join(context.Cause(ctx), r.Err))
		case <-time.After(delay):
		}
		lost, _, err := s.saveTogether(ctx, []*Ended{r.Ended})
		if err == nil {
			return len(lost) > 0, nil
		}
		if isRefusal(err) {
			refusals++
			r.Err = err
		}
		delay = min(2*delay, maxDelay)
		if refusals > maxRefusals {
			s.Logger.ErrorContext(ctx, "the database refuses to store a run as failed; it is tried again",
				"namespace", r.Job.Namespace, "jobId", r.Due.JobID, "runId", r.RunID(), "error", err, "after", delay)
		}
	}
}

// giveUp replaces how the run ended by a plain failure.
func (e *Ended) giveUp(err error) {
	e.status, e.reason, e.result = db.RunStatusFAILED, "", nil
	e.error = errorText("how the run ended could not be stored: " + err.Error())
	e.executedBy = e.Holder
	e.attempt = max(e.attempt, 1)
	e.retryAt, e.failedAttempt = time.Time{}, nil
	e.step, e.targetDecided = policy.Step{}, false
	e.goOn()
}

// isRefusal tells an error for what a row says, which the row will say again, from one that may
// pass.
func isRefusal(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgerrcode.IsDataException(pg.Code) || pgerrcode.IsIntegrityConstraintViolation(pg.Code))
}
