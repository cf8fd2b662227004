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
	"punctual/internal/clock"
	"punctual/internal/logging"
)

const (
	// The channels, as in sql/queries.
	dueChannel      = "punctual_due"
	canceledChannel = "punctual_canceled"
	accessChannel   = "punctual_access"
	eventsChannel   = "punctual_events"
	// pingAfter is how long the listener hears nothing before it checks its connection.
	pingAfter = 30 * time.Second
	// answerWithin bounds that check.
	answerWithin = 5 * time.Second
)

// ListenerConfig is what a Listener needs. Zero means default.
type ListenerConfig struct {
	// Connect opens a connection to the database itself, not to a pooler that lends sessions by the
	// transaction.
	Connect func(ctx context.Context) (*pgx.Conn, error)
	Logger  *slog.Logger
	// Canceled is called with the id of a run that is to stop, and the reason. It must not block.
	Canceled func(run uuid.UUID, reason db.RunReason)
	// Due is called with the instant, by the database's clock, at which something becomes due in a
	// cell (empty: the first one) for the workers of a queue, or for instances if the queue is
	// empty. It must not block.
	Due func(cell, queue string, readyAt time.Time)
	// AccessChanged is called when a key or a namespace has changed. It must not block.
	AccessChanged func()
	// Event is called with what an instance says of events. It must not block.
	Event func(payload string)
	// Missed is called if notifications may have been missed. It must not block.
	Missed func()
	// Heard is called with the channel of each notification. It must not block. Default: nobody is
	// told.
	Heard func(channel string)
	// Listening is called when the listener begins to hear notifications, and when it no longer
	// does. Default: nobody is told.
	Listening func(listens bool)
}

// Channels are the channels on which instances notify each other.
var Channels = []string{dueChannel, canceledChannel, accessChannel, eventsChannel}

// Listener hears the notifications of all instances. Make it with NewListener and Run it.
type Listener struct{ ListenerConfig }

// NewListener returns a Listener that does nothing until it is Run.
func NewListener(c ListenerConfig) *Listener {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.AccessChanged == nil {
		c.AccessChanged = func() {}
	}
	if c.Event == nil {
		c.Event = func(string) {}
	}
	if c.Heard == nil {
		c.Heard = func(string) {}
	}
	if c.Listening == nil {
		c.Listening = func(bool) {}
	}
	return &Listener{c}
}

// Run listens until ctx ends. It replaces a connection that fails or no longer answers.
func (l *Listener) Run(ctx context.Context) {
	outage := logging.Outage{
		Logger:   l.Logger,
		Failing:  "could not listen for notifications; runs that others make due may start late, by up to the poll interval",
		Working:  "notifications are heard again",
		MaxDelay: maxRetryDelay,
	}
	for ctx.Err() == nil {
		err := l.listen(ctx, func() { outage.Worked(ctx) })
		if ctx.Err() == nil {
			clock.Sleep(ctx, outage.Failed(ctx, err))
		}
	}
}

// listen listens on one connection until it fails. It calls listening as soon as nothing is missed.
func (l *Listener) listen(ctx context.Context, listening func()) (err error) {
	conn, err := l.Connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer cancel()
		_ = conn.Close(closing) // it has failed, or nobody needs it any more
	}()
	q := db.New(conn)
	if err := errors.Join(q.ListenDue(ctx), q.ListenCanceled(ctx), q.ListenAccess(ctx), q.ListenEvents(ctx)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	listening()
	l.Listening(true)
	defer l.Listening(false)
	l.Missed()
	for {
		heard, err := l.next(ctx, conn)
		if err != nil {
			return err
		}
		if heard != nil {
			l.tell(heard)
		}
	}
}

// tell passes a notification on. One that cannot be read comes from another version, so it counts
// as missed.
func (l *Listener) tell(heard *pgconn.Notification) {
	l.Heard(heard.Channel)
	if heard.Channel == eventsChannel {
		l.Event(heard.Payload)
		return
	}
	first, second, _ := strings.Cut(heard.Payload, " ")
	if heard.Channel == canceledChannel {
		if run, err := uuid.Parse(first); err == nil {
			l.Canceled(run, db.RunReason(second))
		}
		return
	}
	if heard.Channel == accessChannel {
		l.AccessChanged()
		return
	}
	micros, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		l.Missed()
		return
	}
	queue, cell, _ := strings.Cut(second, " ")
	l.Due(cell, queue, time.UnixMicro(micros))
}

// next returns the next notification, or nil if there was none for a while and the connection
// works.
func (l *Listener) next(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	waiting, cancel := context.WithTimeout(ctx, pingAfter)
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
		return nil, fmt.Errorf("the connection does not answer: %w", err)
	}
	return nil, nil
}
