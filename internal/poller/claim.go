package poller

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"punctual/gen/db"
	"punctual/internal/lease"
	"punctual/internal/runs"
)

// start claims as many due runs as there are free slots, at most a batch, and executes each on its own. It returns
// how many it claimed, and whether there may be more to claim at once. done is called for each when it is off this
// instance's hands.
func (p *Poller) start(ctx context.Context, done func()) (claimed int, more bool, err error) {
	slots, err := p.reserve(ctx)
	if err != nil {
		return 0, false, err
	}
	rows, held, err := p.claim(ctx, slots)
	p.release(slots - len(rows))
	if err != nil {
		return 0, false, err
	}
	p.startAll(held, rows, done)
	more = len(rows) == slots
	if more && time.Since(p.groupedAt) < groupsEvery || !more && !p.grouped {
		return len(rows), more, nil
	}
	if slots, err = p.reserve(ctx); err != nil {
		return len(rows), false, err
	}
	grouped, err := p.claimGrouped(held, slots)
	p.release(slots - len(grouped))
	if err != nil {
		return len(rows), false, err
	}
	p.groupedAt = time.Now()
	p.startAll(held, grouped, done)
	return len(rows) + len(grouped), more, nil
}

// startAll executes a batch, each run on its own. They share a context that ends with the lease or when work has to stop:
// one for each would cost more than all else that is done to start it.
func (p *Poller) startAll(held *lease.Lease, rows []db.ClaimRow, done func()) {
	if len(rows) == 0 {
		return
	}
	ctx, cancel := context.WithCancelCause(held.Context)
	stop := context.AfterFunc(p.work, func() { cancel(context.Cause(p.work)) })
	var left atomic.Int64
	left.Store(int64(len(rows)))
	p.inFlight.Add(len(rows))
	token := rows[0].Token
	settle := func() {
		p.claimed.done(token)
		p.release(1)
		done()
		if left.Add(-1) == 0 {
			stop()
			cancel(nil)
		}
		p.inFlight.Done()
	}
	batch, outcomes := make([]*run, len(rows)), make([]*runs.Outcome, len(rows))
	for i, row := range rows {
		batch[i] = &run{Outcome: runs.New(row), held: held, settle: settle}
		outcomes[i] = &batch[i].Outcome
	}
	if err := p.outcomes.Split(held.Context, p.clock.Now(), outcomes); err != nil {
		p.Logger.ErrorContext(held.Context, "schedules wait for their runs to end", "error", err)
	}
	for _, r := range batch {
		go p.execute(ctx, r)
	}
}

// claim takes up to limit due runs under the instance's lease.
func (p *Poller) claim(ctx context.Context, limit int) ([]db.ClaimRow, *lease.Lease, error) {
	held, err := p.Lease.Hold(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := p.freeLost(held); err != nil {
		return nil, nil, err
	}
	p.horizon = p.clock.Now().Add(claimAhead)
	// A claim under way is not cut off when claiming stops: it may have been committed, and then its runs would wait
	// for the lease to run out. The lease bounds it instead.
	rows, err := p.queries.Claim(held.Context, db.ClaimParams{
		Token: runs.NewToken(), LeaseID: held.ID, MaxRows: int32(limit), Since: p.floor.get(), Ahead: claimAhead,
	})
	if err != nil {
		p.lostUntil = time.Now().Add(lostFor)
		return nil, nil, fmt.Errorf("claim: %w", err)
	}
	if len(rows) > 0 {
		p.clock.Observe(rows[len(rows)-1].ReadAt)
		p.floor.raise(claimedUntil(rows))
		p.claimed.add(rows[0].Token, len(rows))
	}
	return rows, held, nil
}

// claimedUntil returns the instant before which a claim has left nothing. Rows that are due at once may commit later than
// the claim looked, so it is not later than a moment before that.
func claimedUntil(rows []db.ClaimRow) time.Time {
	until := rows[0].ReadAt.Add(-floorSlack)
	last := rows[0].ReadyAt // in no order: the join with the jobs has none
	for _, row := range rows {
		if row.ReadyAt.After(last) {
			last = row.ReadyAt
		}
	}
	if last.Before(until) {
		return last
	}
	return until
}

// freeLost makes up for a claim that failed: it may have been committed, or may yet be, and then this instance holds, and
// keeps from others, runs that it does not know of. So for a while after, it frees what it holds under unknown tokens.
func (p *Poller) freeLost(held *lease.Lease) error {
	if time.Now().After(p.lostUntil) {
		return nil
	}
	freed, err := p.queries.FreeLost(held.Context, db.FreeLostParams{LeaseID: &held.ID, KnownTokens: p.claimed.tokens()})
	if err != nil {
		return fmt.Errorf("free what a lost claim may have taken: %w", err)
	}
	if freed > 0 {
		p.Logger.Warn("freed runs of a claim whose answer was lost", "runs", freed)
		p.floor.lower(time.Time{})
	}
	p.alarm.Ring(p.clock.Now().Add(lostCheck))
	return nil
}

// reserve waits for a free slot and takes all that are free, at most a batch.
func (p *Poller) reserve(ctx context.Context) (int, error) {
	select {
	case p.slots <- struct{}{}:
	default:
		p.results.hurry() // no slot is freed before its run is stored
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	for n := 1; n < p.BatchSize; n++ {
		select {
		case p.slots <- struct{}{}:
		default:
			return n, nil
		}
	}
	return p.BatchSize, nil
}

// release frees n slots.
func (p *Poller) release(n int) {
	for range n {
		<-p.slots
	}
}

// waitForNext sleeps until the next row has to be claimed: by what the database says is due next, what becomes due
// meanwhile by completions of this instance, and calls to Wake. What other instances make due is theirs to know; should
// they die, the poll interval is the bound.
func (p *Poller) waitForNext(ctx context.Context) error {
	next, err := p.queries.NextReady(ctx, db.NextReadyParams{Horizon: p.horizon, Ahead: claimAhead})
	if err != nil {
		return fmt.Errorf("look for what is due next: %w", err)
	}
	p.clock.Observe(next.ReadAt)
	p.alarm.Ring(next.ReadyAt.Add(-claimLead))
	if next.Grouped && !p.grouped {
		p.alarm.Ring(p.clock.Now()) // the claim just now has left them out
	}
	p.grouped = next.Grouped
	longest := p.clock.Now().Add(p.PollInterval)
	p.alarm.Ring(longest)
	p.alarm.Wait(ctx, p.clock.Now)
	if !p.clock.Now().Before(longest) {
		p.floor.lower(time.Time{}) // there is time to look at everything
	}
	return nil
}
