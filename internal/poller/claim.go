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

// claimAndStart claims as many due runs as there are free slots, at most a batch. It executes each
// run on its own, and calls done for each when it is released. It returns how many it claimed, and
// whether there may be more to claim at once.
func (p *Poller) claimAndStart(ctx context.Context, done func()) (claimed int, more bool, err error) {
	slots, err := p.reserve(ctx)
	if err != nil {
		return 0, false, err
	}
	rows, held, err := p.claim(ctx, slots)
	p.free(slots - len(rows))
	if err != nil {
		return 0, false, err
	}
	p.startAll(held, rows, nil, done)
	return len(rows), len(rows) == slots, nil
}

// startAll executes the runs of a claim, each on its own. They share a context that ends with the
// lease or when work has to stop: one for each run would cost more than everything else that is
// done to start it. calls belongs to the rows, and is nil if they call no connections.
func (p *Poller) startAll(held *lease.Lease, rows []db.ClaimRow, calls []call, done func()) {
	if len(rows) == 0 {
		return
	}
	ctx, cancel := context.WithCancelCause(held.Context)
	stop := context.AfterFunc(p.work, func() { cancel(context.Cause(p.work)) })
	var left atomic.Int64
	left.Store(int64(len(rows)))
	p.inFlight.Add(len(rows))
	token := rows[0].Claimed.Token
	released := func() {
		p.claims.release(token)
		p.free(1)
		done()
		if left.Add(-1) == 0 {
			stop()
			cancel(nil)
		}
		p.inFlight.Done()
	}
	now := p.clock.Now()
	going, kept := p.runs.Hold(now, rows)
	if len(kept) > 0 {
		calls = callsOf(going, rows, calls)
		go func() {
			p.runs.PutBack(held.Context, now, kept)
			for range kept {
				released()
			}
		}()
	}
	batch := make([]run, len(going))
	for i, claimed := range p.runs.Open(held.Context, p.clock.Now(), going) {
		claimed.Holder = held.Holder
		batch[i] = run{claimed: claimed, lease: held, released: released}
		if calls != nil {
			batch[i].call = &calls[i]
		}
	}
	for i := range batch {
		go p.execute(ctx, &batch[i])
	}
}

// callsOf returns the calls of those rows of a claim that go on.
func callsOf(going, rows []db.ClaimRow, calls []call) (of []call) {
	if calls == nil {
		return nil
	}
	for i := range rows {
		if n := len(of); n < len(going) && going[n].Claimed.JobID == rows[i].Claimed.JobID &&
			going[n].Claimed.ScheduledFor.Equal(rows[i].Claimed.ScheduledFor) {
			of = append(of, calls[i])
		}
	}
	return of
}

// claim claims up to limit due runs under the instance's lease.
func (p *Poller) claim(ctx context.Context, limit int) ([]db.ClaimRow, *lease.Lease, error) {
	held, err := p.Lease.Hold(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := p.freeLost(held); err != nil {
		return nil, nil, err
	}
	if err := p.runs.Refresh(ctx); err != nil {
		return nil, nil, err
	}
	p.horizon = p.clock.Now().Add(claimAhead)
	// A claim in progress is not canceled when claiming stops: it may have been committed, and then
	// its runs would wait for the lease to expire. The lease bounds it instead.
	begun := time.Now()
	rows, err := p.queries.Claim(held.Context, db.ClaimParams{
		Token: runs.NewToken(), LeaseID: held.ID, MaxRows: int32(limit), Since: p.watermark.get(), Ahead: claimAhead,
	})
	p.measureClaim(runs.ClaimAtOnce, len(rows), begun, err)
	if err != nil {
		p.lost()
		return nil, nil, fmt.Errorf("claim: %w", err)
	}
	if len(rows) > 0 {
		p.clock.Observe(rows[len(rows)-1].ReadAt)
		p.watermark.raise(claimedUntil(rows))
		p.claims.add(rows[0].Claimed.Token, len(rows))
	}
	return rows, held, nil
}

// claimedUntil returns the instant before which a claim has left nothing. Rows that are due at once
// may commit later than the claim looked, so it is at least a moment in the past.
func claimedUntil(rows []db.ClaimRow) time.Time {
	until := rows[0].ReadAt.Add(-watermarkSlack)
	last := rows[0].Claimed.ReadyAt // in no order: the join with the jobs has none
	for i := range rows {
		if readyAt := rows[i].Claimed.ReadyAt; readyAt.After(last) {
			last = readyAt
		}
	}
	if last.Before(until) {
		return last
	}
	return until
}

// lost notes that the answer of a claim was lost.
func (p *Poller) lost() { p.lostUntil.Store(time.Now().Add(lostFor).UnixNano()) }

// freeLost makes up for a claim that failed. It may have been committed, now or later, and then
// this instance holds runs that it does not know. So for a while it frees what it holds under
// tokens that it does not know.
func (p *Poller) freeLost(held *lease.Lease) error {
	if time.Now().UnixNano() > p.lostUntil.Load() {
		return nil
	}
	freed, err := p.queries.FreeLost(held.Context, db.FreeLostParams{LeaseID: &held.ID, KnownTokens: p.claims.tokens()})
	if err != nil {
		return fmt.Errorf("free the runs of a lost claim: %w", err)
	}
	if freed > 0 {
		p.Logger.Warn("freed runs of a claim whose answer was lost", "runs", freed)
		p.watermark.lower(time.Time{})
	}
	p.alarm.Ring(p.clock.Now().Add(lostCheck))
	return nil
}

// reserve waits for a free slot and takes all that are free, at most a batch.
func (p *Poller) reserve(ctx context.Context) (int, error) {
	select {
	case p.slots <- struct{}{}:
	default:
		p.results.Hurry() // no slot is freed before its run is stored
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

// free frees n slots.
func (p *Poller) free(n int) {
	for range n {
		<-p.slots
	}
}

// waitForNext sleeps until the next row has to be claimed: as the database says, as completions of
// this instance make rows due, and as Due tells. What other instances make due, they know; if they
// die, the poll interval is the bound.
func (p *Poller) waitForNext(ctx context.Context) error {
	next, err := p.queries.NextReady(ctx, db.NextReadyParams{Horizon: p.horizon, Ahead: claimAhead})
	if err != nil {
		return fmt.Errorf("read when the next run is due: %w", err)
	}
	p.clock.Observe(next.ReadAt)
	p.alarm.Ring(next.ReadyAt.Add(-claimLead))
	longest := p.clock.Now().Add(p.PollInterval)
	p.alarm.Ring(longest)
	p.alarm.Wait(ctx, p.clock.Now)
	if !p.clock.Now().Before(longest) {
		p.watermark.lower(time.Time{}) // there is time to look at everything
	}
	return nil
}
