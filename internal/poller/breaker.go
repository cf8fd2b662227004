package poller

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/executor"
	"punctual/internal/runs"
)

const (
	// downFailures is after how many failures in a row, without success in between, a connection
	// is down, and downAfter for how long they have to last, from the beginning of the first.
	downFailures, downAfter = 5, 3 * time.Second
	// downWait is the time until the first call of a connection that is down.
	downWait = 5 * time.Second
	// maxDelay is the longest time for which a receiver can stop a connection.
	maxDelay = time.Hour
	// learnWithin bounds a statement that says what has become of a connection.
	learnWithin = 5 * time.Second
)

// breaker is what an instance knows of the latest attempts of a connection, which have failed.
type breaker struct {
	failures int
	since    time.Time // when the first of them began
	isDown   bool
	// delayedUntil is until when the receiver has asked to wait.
	delayedUntil time.Time
}

// jitter is a part of a time to wait, from 0 to 1.
func jitter() float64 { return rand.Float64() } //nolint:gosec // no secret

// noteState notes whether a connection was down when a run was claimed.
func (l *limited) noteState(connection uuid.UUID, isDown bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.breakers[connection]; b != nil && b.isDown && !isDown {
		delete(l.breakers, connection)
	}
}

// outcome says what an attempt shows of its connection.
type outcome int

const (
	nothing outcome = iota
	works
	fails
)

// outcomeOf tells failures of a connection, which are no answer at all and those of a proxy whose
// service is away, from those of a job.
func outcomeOf(result *executor.Result, err error) outcome {
	if _, isCanceled := errors.AsType[runs.Canceled](err); isCanceled {
		return nothing
	}
	failure, _ := errors.AsType[*executor.Failure](err)
	switch {
	case err == nil:
		return works
	case errors.Is(err, runs.ErrDeadline), failure != nil && failure.IsUnreachable:
		return fails
	case result == nil || result.StatusCode == 0:
		return nothing // nobody was called
	}
	switch result.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fails
	}
	return works
}

// learn notes what an attempt that has just ended shows of its connection, and tells the other
// instances if that changes its state. While nothing changes, it writes nothing.
func (p *Poller) learn(ctx context.Context, c *call, a *runs.Attempt, result *executor.Result, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), learnWithin)
	defer cancel()
	if failure, ok := errors.AsType[*executor.Failure](err); ok && c.isAdaptive && failure.RetryAfter > 0 {
		p.delay(ctx, c, min(failure.RetryAfter, maxDelay), failure.Error())
	}
	switch p.limited.note(c, a.Began(), p.clock.Now(), outcomeOf(result, err)) {
	case goesDown:
		p.markDown(ctx, c, err.Error())
	case staysDown:
		params := db.MarkConnectionStillDownParams{ConnectionID: c.connection, Reason: err.Error(), Jitter: jitter()}
		if err := p.queries.MarkConnectionStillDown(ctx, params); err != nil {
			p.logUnlearned(ctx, c, err)
		}
	case comesUp:
		p.markUp(ctx, c)
	case stays:
	}
}

// change is what an attempt changes of the state of its connection.
type change int

const (
	stays change = iota
	goesDown
	staysDown
	comesUp
)

func (l *limited) note(c *call, began, now time.Time, what outcome) change {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.breakers[c.connection]
	switch {
	case what == works && (c.isProbe || (b != nil && b.isDown)):
		delete(l.breakers, c.connection)
		return comesUp
	case what == works:
		if b != nil {
			b.failures = 0
		}
		if b != nil && now.After(b.delayedUntil) {
			delete(l.breakers, c.connection)
		}
		return stays
	case what == nothing:
		return stays
	case c.isProbe:
		return staysDown
	}
	if b == nil {
		b = &breaker{}
		l.breakers[c.connection] = b
	}
	if b.failures == 0 || began.Before(b.since) {
		b.since = began
	}
	if b.failures++; b.isDown || b.failures < downFailures || now.Sub(b.since) < downAfter {
		return stays
	}
	b.isDown = true
	return goesDown
}

// markDown says that a connection is down. If that fails, the next failure tries again.
func (p *Poller) markDown(ctx context.Context, c *call, reason string) {
	wait := time.Duration(float64(downWait) * (1 - 0.2*jitter()))
	told := func() {}
	err := pgx.BeginTxFunc(ctx, p.Pool, database.Locking, func(tx pgx.Tx) error {
		q := p.queries.WithTx(tx)
		row, err := q.MarkConnectionDown(ctx, db.MarkConnectionDownParams{ConnectionID: c.connection, Reason: reason, Wait: wait})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // another instance has said it
		}
		if err != nil {
			return err
		}
		committed, err := p.Events.Tell(ctx, q, events.OfConnection(events.ConnectionDown, row.DownSince, row.Namespace, row.Key, reason))
		told = func() {
			p.Logger.WarnContext(ctx, "connection is down; its runs wait, and one at a time tries it again",
				"namespace", row.Namespace, "connection", row.Key, "reason", reason)
			committed()
		}
		return err
	})
	if err != nil {
		p.limited.noteState(c.connection, false)
		p.logUnlearned(ctx, c, err)
		return
	}
	told()
}

// markUp says that a connection which was down works again, and that its runs may begin.
func (p *Poller) markUp(ctx context.Context, c *call) {
	told := func() {}
	err := pgx.BeginTxFunc(ctx, p.Pool, database.Locking, func(tx pgx.Tx) error {
		q := p.queries.WithTx(tx)
		row, err := q.MarkConnectionUp(ctx, c.connection)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		committed, err := p.Events.Tell(ctx, q, events.OfConnection(events.ConnectionRecovered, row.RecoveredAt, row.Namespace, row.Key, ""))
		told = func() {
			p.Logger.InfoContext(ctx, "connection works again", "namespace", row.Namespace, "connection", row.Key)
			committed()
		}
		return err
	})
	if err != nil {
		p.logUnlearned(ctx, c, err) // the next run that is claimed while it is down shows it again
		return
	}
	told()
	p.DueLimited(c.queue, time.Time{})
	p.Announce(c.queue, time.Time{})
}

// delay lets no run of a connection begin for a while. Of many receivers' answers at once, one is
// written.
func (p *Poller) delay(ctx context.Context, c *call, wait time.Duration, reason string) {
	l := p.limited
	until := p.clock.Now().Add(wait)
	l.mu.Lock()
	b := l.breakers[c.connection]
	if b == nil {
		b = &breaker{}
		l.breakers[c.connection] = b
	}
	isKnown := until.Before(b.delayedUntil.Add(time.Second))
	if !isKnown {
		b.delayedUntil = until
	}
	l.mu.Unlock()
	if isKnown {
		return
	}
	if err := p.queries.DelayConnection(ctx, db.DelayConnectionParams{ConnectionID: c.connection, Wait: wait, Reason: reason}); err != nil {
		p.logUnlearned(ctx, c, err)
	}
}

func (p *Poller) logUnlearned(ctx context.Context, c *call, err error) {
	p.Logger.ErrorContext(ctx, "could not store what has become of a connection; the next attempt shows it again",
		"connectionId", c.connection, "error", err)
}
