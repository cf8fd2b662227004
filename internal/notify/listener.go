package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
)

const (
	// canceledChannel is the other of the two channels, as in sql/queries/notify.sql.
	canceledChannel = "punctual_canceled"
	// silence is how long the listener hears nothing before it makes sure that it still could.
	silence = 30 * time.Second
	// answerWithin is how long that may take.
	answerWithin = 5 * time.Second
	// reconnectAfter is how long it waits before it connects again.
	reconnectAfter = time.Second
)

// ListenerConfig is what a Listener needs. Zero means default.
type ListenerConfig struct {
	// Connect opens a connection to the database itself, not to a pooler that lends sessions by the transaction.
	Connect func(ctx context.Context) (*pgx.Conn, error)
	Logger  *slog.Logger
	// Canceled is told the id of a run that is to end, and why. It must not block.
	Canceled func(run uuid.UUID, reason db.RunReason)
	// Due is told the instant, by the database's clock, at which something has become due for the workers of a queue, or
	// for instances, whose queue is the empty one. It must not block.
	Due func(queue string, readyAt time.Time)
	// Missed is told that notifications may have been missed. It must not block.
	Missed func()
}

// Listener hears what Announcers of all instances send. Make it with NewListener and Run it.
type Listener struct{ ListenerConfig }

// NewListener returns a Listener that does nothing yet.
func NewListener(c ListenerConfig) *Listener {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return &Listener{c}
}

// Run listens until ctx ends. A connection that fails, or no longer answers, is replaced.
func (l *Listener) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		l.Logger.WarnContext(ctx, "not listening; what others make due is found by polling until that is mended", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(reconnectAfter):
		}
	}
}

// listen listens on one connection until it fails.
func (l *Listener) listen(ctx context.Context) (err error) {
	conn, err := l.Connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer cancel()
		_ = conn.Close(closing) // it has failed, or nobody needs it any more
	}()
	if err := errors.Join(db.New(conn).ListenDue(ctx), db.New(conn).ListenCanceled(ctx)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	l.Missed()
	for {
		heard, err := l.wait(ctx, conn)
		if err != nil {
			return err
		}
		if heard == nil {
			continue
		}
		l.tell(heard)
	}
}

// tell passes a notification on. One of another version, that says nothing to this one, is about something all the same.
func (l *Listener) tell(heard *pgconn.Notification) {
	first, second, _ := strings.Cut(heard.Payload, " ")
	if heard.Channel == canceledChannel {
		if run, err := uuid.Parse(first); err == nil {
			l.Canceled(run, db.RunReason(second))
		}
		return
	}
	micros, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		l.Missed()
		return
	}
	l.Due(second, time.UnixMicro(micros))
}

// wait returns the next notification, or nil where there was none for a while and the connection is alive.
func (l *Listener) wait(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	waiting, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	heard, err := conn.WaitForNotification(waiting)
	if err == nil {
		return heard, nil
	}
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("wait for a notification: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := conn.Ping(asking); err != nil {
		return nil, fmt.Errorf("the connection is dead: %w", err)
	}
	return nil, nil
}
