package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/events"
)

const (
	// unservedAfter is how long a run waits before its queue counts as unserved.
	unservedAfter = time.Minute
	// warnAgainAfter is the time between two warnings of one queue.
	warnAgainAfter = 10 * time.Minute
)

// WarnUnserved logs the queues in which runs wait for more than a minute while no worker holds a
// run of the queue, and tells of each once: queue.unattended. It logs a queue again after some time
// only.
func (b *Broker) WarnUnserved(ctx context.Context) error {
	var rows []db.ListUnservedRow
	committed := func() {}
	err := pgx.BeginTxFunc(ctx, b.Pool, database.Locking, func(tx pgx.Tx) (err error) {
		rows, committed, err = b.tellUnattended(ctx, db.New(tx))
		return err
	})
	if err != nil {
		return err
	}
	committed()
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	warned := map[string]time.Time{} // queues that are served by now are forgotten
	for _, row := range rows {
		at, ok := b.warned[row.Queue]
		if !ok || now.Sub(at) >= warnAgainAfter {
			at = now
			b.Logger.WarnContext(ctx, "runs wait in a queue and no worker asks for it", "queue", row.Queue, "since", row.ReadyAt)
		}
		warned[row.Queue] = at
	}
	b.warned = warned
	return nil
}

// tellUnattended tells of the queues that nobody serves, and returns them. Several instances may do
// it at once: only one of them notes a queue.
func (b *Broker) tellUnattended(ctx context.Context, q *db.Queries) (rows []db.ListUnservedRow, committed func(), err error) {
	if rows, err = q.ListUnserved(ctx, unservedAfter); err != nil {
		return nil, nil, fmt.Errorf("list queues that no worker serves: %w", err)
	}
	params := db.NoteUnattendedParams{Queues: []string{}, Sinces: []time.Time{}}
	for _, row := range rows {
		params.Queues, params.Sinces = append(params.Queues, row.Queue), append(params.Sinces, row.ReadyAt)
	}
	noted, err := q.NoteUnattended(ctx, params)
	if err != nil {
		return nil, nil, fmt.Errorf("note queues that no worker serves: %w", err)
	}
	now, err := q.DatabaseTime(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the database's time: %w", err)
	}
	what := make([]events.Event, len(noted))
	for i, row := range noted {
		namespace, queue := access.Split(row.Queue)
		what[i] = events.OfQueue(events.QueueUnattended, now, namespace, queue, row.Since)
	}
	committed, err = b.Events.Tell(ctx, q, what...)
	return rows, committed, err
}

// Asking returns how many requests of workers wait, by their queue.
func (b *Broker) Asking() map[string]int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	asking := map[string]int32{}
	for name, q := range b.queues {
		if n := len(q.waiting); n > 0 {
			asking[name] = int32(n)
		}
	}
	return asking
}
