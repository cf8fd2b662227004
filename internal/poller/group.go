package poller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/runs"
)

// givePlaces gives runs that wait for their concurrency groups as many places as are free, in a
// transaction that keeps other instances from doing the same, and tells those who may claim the
// runs then. It notes when to look at these queues again.
func (p *Poller) givePlaces(ctx context.Context, queues []string) error {
	if len(queues) == 0 {
		return nil
	}
	var locked []string
	var given []db.GivePlacesRow
	var next []db.NextGroupedRow
	begun := time.Now()
	err := pgx.BeginTxFunc(ctx, p.Pool, database.Locking, func(tx pgx.Tx) (err error) {
		q := p.queries.WithTx(tx)
		if locked, err = q.LockGroups(ctx, queues); err != nil || len(locked) == 0 {
			return err
		}
		if given, err = q.GivePlaces(ctx, db.GivePlacesParams{Queues: locked, Ahead: claimAhead}); err != nil {
			return err
		}
		next, err = q.NextGrouped(ctx, locked)
		return err
	})
	places, hasGiven := 0, map[string]bool{}
	for _, g := range given {
		places += int(g.Runs)
		hasGiven[g.ConcurrencyGroup] = true
	}
	p.measureClaim(runs.ClaimGroups, places, begun, err)
	if err != nil {
		p.lookAgain(queues)
		return fmt.Errorf("give places in concurrency groups: %w", err)
	}
	for _, g := range given {
		if g.Queue != "" {
			p.Announce(g.Queue, g.ReadyAt)
			continue
		}
		p.Due(g.ReadyAt)
		if taken, room := p.Slots(); taken == room || p.stopped.Load() {
			p.Announce("", g.ReadyAt) // others may have room
		}
	}
	for _, n := range next {
		isFull := !hasGiven[n.Queue] && n.ReadyAt.Before(n.ReadAt.Add(claimAhead))
		p.limited.looked(n.Queue, n.ReadyAt, n.ReadAt, isFull, false)
	}
	p.lookAgain(without(queues, locked))
	return nil
}

// without returns the queues that are not among others.
func without(queues, others []string) []string {
	return slices.DeleteFunc(slices.Clone(queues), func(queue string) bool { return slices.Contains(others, queue) })
}
