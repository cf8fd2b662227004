package poller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/logging"
	"punctual/internal/runid"
	"punctual/internal/runs"
)

// cancelDelay is the time between two looks for canceled runs of this instance, in case it was not
// told of one.
const cancelDelay = 3 * time.Second

// cancels has the attempts of this instance whose executor can be told to end. The zero value has
// none.
type cancels struct {
	mu   sync.Mutex
	runs map[uuid.UUID]*attemptContext // the latest of each run: one whose lease was lost may not have noticed yet
}

func (c *cancels) add(attempt *attemptContext) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs == nil {
		c.runs = map[uuid.UUID]*attemptContext{}
	}
	c.runs[attempt.run] = attempt
}

func (c *cancels) remove(attempt *attemptContext) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs[attempt.run] == attempt {
		delete(c.runs, attempt.run)
	}
}

// end ends a run if it is executed here.
func (c *cancels) end(run uuid.UUID, reason db.RunReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if attempt, ok := c.runs[run]; ok {
		attempt.cancel(runs.Canceled{Reason: reason})
	}
}

func (c *cancels) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.runs) == 0
}

// Cancel ends a run if this instance executes it, for a reason that is in the database already.
func (p *Poller) Cancel(run uuid.UUID, reason db.RunReason) { p.cancels.end(run, reason) }

// endCanceled ends canceled runs that this instance executes and was not told of, until ctx ends.
func (p *Poller) endCanceled(ctx context.Context) {
	outage := logging.Outage{
		Logger: p.Logger, Failing: "could not look for canceled runs; they go on until the next look",
		Working: "canceled runs are found again",
	}
	for ctx.Err() == nil {
		if clock.Sleep(ctx, cancelDelay); p.cancels.empty() {
			continue
		}
		switch err := p.endCanceledOnce(ctx); {
		case ctx.Err() != nil:
		case err != nil:
			outage.Failed(ctx, err)
		default:
			outage.Worked(ctx)
		}
	}
}

func (p *Poller) endCanceledOnce(ctx context.Context) error {
	held, err := p.Lease.Hold(ctx)
	if err != nil {
		return err
	}
	rows, err := p.queries.ListCanceled(ctx, &held.ID)
	if err != nil {
		return fmt.Errorf("list canceled runs: %w", err)
	}
	for _, row := range rows {
		p.Cancel(runid.New(row.JobID, row.ScheduledFor), *row.CancelReason)
	}
	return nil
}
