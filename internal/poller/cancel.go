package poller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
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
	for ctx.Err() == nil {
		if sleep(ctx, cancelDelay); p.cancels.empty() {
			continue
		}
		if err := p.endCanceledOnce(ctx); err != nil && ctx.Err() == nil {
			p.Logger.ErrorContext(ctx, "could not look for canceled runs; they go on until the next look", "error", err)
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
