package poller

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/database"
	"punctual/internal/lease"
	"punctual/internal/runs"
)

// call is what is known of the connection that a claimed run calls.
type call struct {
	connection uuid.UUID
	queue      string
	// startAt is when the run may start.
	startAt    time.Time
	isAdaptive bool
	// isProbe is whether the connection is down, and this run shows whether it still is.
	isProbe bool
}

// reserveLimited takes free slots for runs of connections, at most a batch. It does not wait.
func (p *Poller) reserveLimited() (n int) {
	for ; n < p.BatchSize; n++ {
		select {
		case p.limited.slots <- struct{}{}:
		default:
			return n
		}
		select {
		case p.slots <- struct{}{}:
		default:
			<-p.limited.slots
			p.results.Hurry() // no slot is freed before its run is stored
			return n
		}
	}
	return n
}

func (p *Poller) freeLimited(n int) {
	p.free(n)
	for range n {
		<-p.limited.slots
	}
}

// claimLimited claims what the limits of some connections leave, as many runs as there are free
// slots, and executes each on its own. It calls done for each when it is released, returns how many
// it claimed, and notes when to look at these queues again.
func (p *Poller) claimLimited(ctx context.Context, queues []string, done func()) (claimed int, err error) {
	if len(queues) == 0 {
		return 0, nil
	}
	slots := p.reserveLimited()
	defer func() {
		p.freeLimited(slots - claimed)
		if slots == 0 || err != nil {
			p.lookAgain(queues)
		}
	}()
	if slots == 0 {
		return 0, nil
	}
	held, err := p.Lease.Hold(ctx)
	if err != nil {
		return 0, err
	}
	if err := p.runs.Refresh(ctx); err != nil {
		return 0, err
	}
	rows, calls, err := p.claimWithin(held, queues, slots)
	p.startAll(held, rows, calls, func() {
		p.limited.released()
		done()
	})
	return len(rows), err
}

func (p *Poller) lookAgain(queues []string) {
	for _, queue := range queues {
		p.limited.look(queue, p.clock.Now().Add(busyDelay))
	}
}

// claimWithin claims up to limit runs within the limits of connections, in a transaction that keeps
// other instances from doing the same. A claim in progress is not canceled when claiming stops: see
// claim.
func (p *Poller) claimWithin(held *lease.Lease, queues []string, limit int) (rows []db.ClaimRow, calls []call, err error) {
	var claimed []db.ClaimLimitedRow
	var next []db.NextLimitedRow
	token, begun := runs.NewToken(), time.Now()
	p.claims.add(token, 0) // before it is claimed: FreeLost frees what is held under unknown tokens
	err = pgx.BeginTxFunc(held.Context, p.Pool, database.Locking, func(tx pgx.Tx) error {
		q := p.queries.WithTx(tx)
		locked, err := q.LockLimited(held.Context, queues)
		if err != nil || len(locked) == 0 {
			return err
		}
		ids, names := make([]uuid.UUID, len(locked)), make([]string, len(locked))
		for i, l := range locked {
			ids[i], names[i] = l.ConnectionID, l.Queue
		}
		claimed, err = q.ClaimLimited(held.Context, db.ClaimLimitedParams{
			ConnectionIds: ids, Queues: names, Token: token, LeaseID: held.ID, MaxRows: int32(limit), Ahead: limitedAhead,
		})
		if err != nil {
			return err
		}
		next, err = q.NextLimited(held.Context, db.NextLimitedParams{ConnectionIds: ids, Queues: names})
		return err
	})
	p.measureClaim(runs.ClaimConnections, len(claimed), begun, err)
	if err != nil {
		p.claims.forget(token)
		p.lost()
		p.alarm.Ring(time.Time{}) // the next claim frees what was claimed
		return nil, nil, fmt.Errorf("claim runs of connections: %w", err)
	}
	p.noteNext(queues, next, len(claimed) == limit)
	if len(claimed) == 0 {
		p.claims.forget(token)
		return nil, nil, nil
	}
	p.claims.add(token, len(claimed))
	p.clock.Observe(claimed[0].ReadAt)
	rows, calls = make([]db.ClaimRow, len(claimed)), make([]call, len(claimed))
	for i, row := range claimed {
		calls[i] = call{
			connection: row.ConnectionID, queue: *row.Claimed.Queue, startAt: row.Claimed.ReadyAt, isAdaptive: row.IsAdaptive,
			isProbe: row.IsDown,
		}
		if row.WasUnserved { // or held by a blackout: so that the misfire policy decides
			row.Claimed.ReadyAt = row.Claimed.ScheduledFor
		}
		rows[i] = db.ClaimRow{Claimed: row.Claimed, Job: row.Job, ReadAt: row.ReadAt}
		p.limited.noteState(row.ConnectionID, row.IsDown)
	}
	return rows, calls, nil
}

// noteNext notes when to look again at queues, after a claim that found out what is next in those
// that no other instance serves at the moment.
func (p *Poller) noteNext(queues []string, next []db.NextLimitedRow, hadNoSlots bool) {
	known := make([]string, len(next))
	for i, n := range next {
		known[i] = n.Queue
		isFull := n.IsFull && n.ReadyAt.Before(n.ReadAt.Add(limitedAhead))
		p.limited.looked(n.Queue, clock.Later(n.ReadyAt, n.StartsAt), n.ReadAt, isFull, hadNoSlots)
	}
	p.lookAgain(without(queues, known))
}

// placeAll lists the queues of connections and concurrency groups, and gives places in all groups.
// It is for Pass.
func (p *Poller) placeAll(ctx context.Context) error {
	if err := p.listLimited(ctx); err != nil {
		return err
	}
	return p.givePlaces(ctx, p.limited.queues(access.IsGroup))
}
