package eventstream_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/eventstream"
	"punctual/internal/labels"
	"punctual/internal/logging"
	"punctual/internal/notify"
	"punctual/internal/testdb"
)

// patience bounds waiting for something that does happen.
const patience = 30 * time.Second

// cluster is a database with instances that say what happens.
type cluster struct {
	*pgxpool.Pool
	url string
}

func setup(t *testing.T) cluster {
	t.Helper()
	url := testdb.New(t)
	pool, err := database.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return cluster{pool, url}
}

// instance is one of them.
type instance struct {
	*eventstream.Hub
	// name is what the connection is called by which it listens.
	name string
	// stop ends it, after it has said that it does; kill ends it without.
	stop, kill func()
}

// instance starts an instance, and returns it when it listens.
func (c cluster) instance(t *testing.T) instance {
	t.Helper()
	name := "instance " + uuid.NewString()[:8]
	pool, err := database.Open(t.Context(), c.url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := logging.New(t.Output(), slog.LevelInfo)
	hub := eventstream.New(eventstream.Config{Queries: db.New(pool), Logger: log})
	listening := make(chan struct{}, 100)
	listener := notify.NewListener(notify.ListenerConfig{
		Connect: func(ctx context.Context) (*pgx.Conn, error) {
			conn, err := database.Connect(ctx, c.url)
			if err == nil {
				_, err = conn.Exec(ctx, "set application_name = '"+name+"'")
			}
			return conn, err
		},
		Logger: log, Event: hub.Hear, Due: func(_, _ string, _ time.Time) {},
		Missed: func() { hub.Missed(); listening <- struct{}{} },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	for _, run := range []func(context.Context){listener.Run, hub.Run} {
		go func() {
			run(ctx)
			ended <- struct{}{}
		}()
	}
	stop := sync.OnceFunc(func() {
		cancel()
		for range 2 {
			<-ended
		}
	})
	t.Cleanup(stop)
	<-listening
	return instance{Hub: hub, name: name, stop: stop, kill: func() {
		pool.Close()
		stop()
	}}
}

// stream reads what a follower gets.
type stream struct {
	*eventstream.Follower
	pending []sse.Event
	// last is the id of the last event.
	last string
}

func (i instance) follow(t *testing.T, filter eventstream.Filter, after string) *stream {
	t.Helper()
	follower, err := i.Follow(t.Context(), filter, after)
	require.NoError(t, err)
	return &stream{Follower: follower}
}

// next waits for the next event.
func (s *stream) next(t *testing.T) sse.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(s.pending) == 0 {
		batch, err := s.Next(ctx)
		require.NoError(t, err)
		var text strings.Builder
		for _, frame := range batch.Frames {
			text.Write(frame)
		}
		for e, err := range sse.Read(strings.NewReader(text.String()), nil) {
			require.NoError(t, err)
			s.pending = append(s.pending, e)
		}
	}
	e := s.pending[0]
	s.pending, s.last = s.pending[1:], e.LastEventID
	return e
}

// requireNext checks which events come next, by the names of their jobs.
func (s *stream) requireNext(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		require.Equal(t, name, nameIn(t, s.next(t)))
	}
}

// requireLost checks that the next event says that some may be missing, and returns from when to
// when.
func (s *stream) requireLost(t *testing.T) (from, to time.Time) {
	t.Helper()
	e := s.next(t)
	require.Equal(t, "events.lost", e.Type, e.Data)
	var lost struct {
		Type string
		Data struct{ From, To time.Time }
	}
	require.NoError(t, json.Unmarshal([]byte(e.Data), &lost))
	require.Equal(t, "events.lost", lost.Type)
	require.False(t, lost.Data.To.Before(lost.Data.From))
	return lost.Data.From, lost.Data.To
}

func nameIn(t *testing.T, e sse.Event) string {
	t.Helper()
	var read struct {
		Type string
		Data struct{ JobName string }
	}
	require.NoError(t, json.Unmarshal([]byte(e.Data), &read))
	require.Equal(t, e.Type, read.Type)
	return read.Data.JobName
}

// of returns an event of a job with a name.
func of(kind events.Type, namespace, name string) events.Event {
	job := db.Job{Namespace: namespace, Name: name, Key: new("key/" + name), ID: uuid.New(), Labels: labels.Set{"name": name}}
	return events.OfJob(kind, &job, events.Change{At: time.Now()})
}

// publish publishes events of type job.paused of the namespace blue.
func (i instance) publish(names ...string) {
	for _, name := range names {
		i.Publish([]events.Event{of(events.JobPaused, "blue", name)})
	}
}
