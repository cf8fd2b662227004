package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/runs"
)

// maxSlots bounds how many runs one statement hands out.
const maxSlots = 1000

// slots returns the parameters that claim runs for those who wait, one entry for each run that one
// of them would take, and who takes the runs of each lease. The waiters of a queue take turns: of
// A, who takes two runs, and B, who takes one, the entries are A, B, A.
func slots(turns []turn) (params db.ClaimQueuedParams, takers map[uuid.UUID]*waiter, err error) {
	params.Token = runs.NewToken()
	takers = map[uuid.UUID]*waiter{}
	for _, t := range turns {
		ids := make([]uuid.UUID, len(t.waiting))
		for i, w := range t.waiting {
			if ids[i], err = uuid.NewV7(); err != nil {
				return params, nil, fmt.Errorf("create a lease id: %w", err)
			}
			takers[ids[i]] = w
		}
		before := len(params.LeaseIds)
		for number, isTaken := 0, true; isTaken; number++ {
			isTaken = false
			for i, w := range t.waiting {
				if number < w.ask.MaxRuns && len(params.LeaseIds) < maxSlots {
					params.LeaseIds = append(params.LeaseIds, ids[i])
					isTaken = true
				}
			}
		}
		params.Queues = append(params.Queues, t.queue)
		params.Befores = append(params.Befores, int32(before))
		params.Counts = append(params.Counts, int32(len(params.LeaseIds)-before))
	}
	return params, takers, nil
}

// grant claims due runs for those who wait, and hands them over. Who gets a lease leaves the queue.
// It returns how many runs it claimed.
func (b *Broker) grant(ctx context.Context, turns []turn) (claimed int, err error) {
	params, takers, err := slots(turns)
	if err != nil {
		return 0, err
	}
	// Not canceled when a worker goes or the instance stops: claimed runs would wait until their
	// lease expires.
	ctx = context.WithoutCancel(ctx)
	if err := b.runs.Refresh(ctx); err != nil {
		return 0, err
	}
	begun := time.Now()
	rows, err := b.claim(ctx, params, takers)
	if b.Meter != nil {
		b.Meter.Claimed(runs.ClaimWorkers, len(rows), time.Since(begun), err)
	}
	if err != nil {
		return 0, fmt.Errorf("claim for workers: %w", err)
	}
	b.noteFilled(params, rows)
	var empty []uuid.UUID
	for id, lease := range b.prepare(ctx, rows, takers) {
		if len(lease.Runs) == 0 {
			empty = append(empty, id)
			continue
		}
		b.hand(ctx, takers[id], lease)
	}
	b.forgetLeases(ctx, empty...)
	return len(rows), nil
}

// claim claims due runs, and creates the leases under which they are held.
func (b *Broker) claim(ctx context.Context, params db.ClaimQueuedParams, takers map[uuid.UUID]*waiter) (rows []db.ClaimQueuedRow, err error) {
	err = database.Transact(ctx, b.Pool, func(tx *database.Tx) (err error) {
		if rows, err = db.New(tx).ClaimQueued(ctx, params); err != nil || len(rows) == 0 {
			return err
		}
		var granted db.GrantLeasesParams
		for i := range rows {
			row := &rows[i].Claimed
			ask := &takers[row.LeaseID].ask
			granted.LeaseIds = append(granted.LeaseIds, row.LeaseID)
			granted.Holders = append(granted.Holders, ask.Holder)
			granted.Durations = append(granted.Durations, ask.Duration)
			granted.Queues = append(granted.Queues, *row.Queue)
			granted.JobIds = append(granted.JobIds, row.JobID)
			granted.ScheduledFors = append(granted.ScheduledFors, row.ScheduledFor)
			granted.JobVersions = append(granted.JobVersions, rows[i].Job.Version)
		}
		return db.New(tx.Later()).GrantLeases(ctx, granted)
	})
	return rows, err
}

// noteFilled notes the queues of which a claim has taken all that it has asked for.
func (b *Broker) noteFilled(params db.ClaimQueuedParams, rows []db.ClaimQueuedRow) {
	claimed := map[string]int32{}
	for i := range rows {
		claimed[*rows[i].Claimed.Queue]++
	}
	for i, name := range params.Queues {
		if params.Counts[i] > 0 && claimed[name] == params.Counts[i] {
			b.assumeDue(name)
		}
	}
}

// prepare makes leases of the claimed runs. Runs that are not to be executed are ended here.
func (b *Broker) prepare(ctx context.Context, rows []db.ClaimQueuedRow, takers map[uuid.UUID]*waiter) map[uuid.UUID]*Lease {
	leases := map[uuid.UUID]*Lease{}
	claims := make([]db.ClaimRow, len(rows))
	for i := range rows {
		row := &rows[i]
		b.clock.Observe(row.ReadAt)
		claims[i] = db.ClaimRow{Claimed: row.Claimed, Job: row.Job, ReadAt: row.ReadAt}
		id := row.Claimed.LeaseID
		leases[id] = &Lease{ID: id, ExpiresAt: row.LeasedAt.Add(takers[id].ask.Duration)}
	}
	now := b.clock.Now()
	claims, kept := b.runs.Hold(now, claims)
	if len(kept) > 0 {
		b.runs.PutBack(ctx, now, kept)
	}
	var attempts []*runs.Attempt
	var over []*runs.Ended
	for i, claimed := range b.runs.Open(ctx, now, claims) {
		claimed.Holder = takers[claims[i].Claimed.LeaseID].ask.Holder
		attempt, ended := claimed.Prepare(now)
		if attempt == nil {
			over = append(over, ended)
			continue
		}
		attempts = append(attempts, attempt)
		lease := leases[claims[i].Claimed.LeaseID]
		lease.Runs = append(lease.Runs, attempt)
	}
	b.runs.CancelEarlier(ctx, attempts...)
	if err := b.save(ctx, over); err != nil {
		// Their lease expires, and they are claimed again.
		b.Logger.ErrorContext(ctx, "could not store runs that are not executed; they are claimed again when their lease expires",
			"runs", len(over), "error", err)
	}
	return leases
}
