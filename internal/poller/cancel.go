package poller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/runid"
)

// cancelCheck is how often an instance looks for runs of its own that are to end, should it not have been told.
const cancelCheck = 3 * time.Second

// errCanceled is the cause of the context of an attempt whose run was made to end.
var errCanceled = errors.New("canceled")

// cancels knows how to end the runs that this instance executes and that others may end. The zero value knows none.
type cancels struct {
	mu   sync.Mutex
	runs map[uuid.UUID]context.CancelCauseFunc
}

// context returns a context for an attempt that end can end. Call release when the attempt is over.
func (c *cancels) context(ctx context.Context, run uuid.UUID) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs == nil {
		c.runs = map[uuid.UUID]context.CancelCauseFunc{}
	}
	c.runs[run] = cancel
	return ctx, func() {
		cancel(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.runs, run)
	}
}

// end ends a run if it is executed here.
func (c *cancels) end(run uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel, ok := c.runs[run]; ok {
		cancel(errCanceled)
	}
}

func (c *cancels) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.runs) == 0
}

// Cancel ends a run if this instance executes it. That it is to end has to be in the database already.
func (p *Poller) Cancel(run uuid.UUID) { p.cancels.end(run) }

// cancelEarlier has the runs of a job end that began before row's. It does not wait for them.
func (p *Poller) cancelEarlier(ctx context.Context, row *db.ClaimRow) {
	canceled, err := p.queries.CancelEarlier(ctx, db.CancelEarlierParams{
		JobIds: []uuid.UUID{row.JobID}, ScheduledFors: []time.Time{row.ScheduledFor},
	})
	if err != nil {
		p.Logger.ErrorContext(ctx, "the job's earlier runs go on", "jobId", row.JobID, "error", err)
		return
	}
	if len(canceled) == 0 {
		return
	}
	ids := make([]uuid.UUID, len(canceled))
	for i, c := range canceled {
		ids[i] = runid.New(c.JobID, c.ScheduledFor)
		p.Cancel(ids[i])
	}
	p.Due(time.Time{}) // those that waited for another attempt
	if err := p.queries.NotifyCanceled(ctx, ids); err != nil {
		p.Logger.WarnContext(ctx, "other instances find out by themselves that runs are to end", "error", err)
	}
}

// endCanceled ends what this instance executes and was not told to end, again and again until ctx ends.
func (p *Poller) endCanceled(ctx context.Context) {
	for ctx.Err() == nil {
		if sleep(ctx, cancelCheck); p.cancels.empty() {
			continue
		}
		if err := p.endCanceledOnce(ctx); err != nil && ctx.Err() == nil {
			p.Logger.ErrorContext(ctx, "looking for runs that are to end failed", "error", err)
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
		return fmt.Errorf("list runs that are to end: %w", err)
	}
	for _, row := range rows {
		p.Cancel(runid.New(row.JobID, row.ScheduledFor))
	}
	return nil
}
