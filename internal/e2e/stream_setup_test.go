package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"

	"punctual/gen/client"
)

// stream is what a client follows.
type stream struct {
	events chan sse.Event
	// ended is closed when the stream has ended.
	ended chan struct{}
	// last is the id of the last event that was read.
	last string
	stop func()
}

// follow follows what happens, from when it returns on.
func (i instance) follow(t *testing.T, params client.StreamEventsParams) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	response, err := i.StreamEvents(ctx, &params) //nolint:bodyclose // what reads it closes it
	require.NoError(t, err)
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)
	}
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	s := &stream{events: make(chan sse.Event, 100_000), ended: make(chan struct{})}
	s.stop = func() {
		cancel()
		<-s.ended
	}
	begun := make(chan struct{})
	go func() {
		defer close(s.ended)
		defer response.Body.Close()
		for e, err := range sse.Read(response.Body, nil) {
			if err != nil {
				return
			}
			select {
			case <-begun:
			default:
				close(begun)
			}
			if e.Data != "" {
				s.events <- e
			}
		}
	}()
	await(t, begun, "the stream begins")
	return s
}

// happened is an event, as far as the tests read it.
type happened struct {
	Type      string
	Timestamp time.Time
	Data      struct {
		Namespace, JobName, Status string
		From, To                   time.Time
	}
}

// next waits for the next event.
func (s *stream) next(t *testing.T) happened {
	t.Helper()
	got := await(t, s.events, "an event")
	var what happened
	require.NoError(t, json.Unmarshal([]byte(got.Data), &what), got.Data)
	require.Equal(t, got.Type, what.Type)
	require.WithinDuration(t, time.Now(), what.Timestamp, time.Minute)
	s.last = got.LastEventID
	return what
}

// requirePaused checks that the next events say that jobs were paused, by their names.
func (s *stream) requirePaused(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		got := s.next(t)
		require.Equal(t, []string{"job.paused", name}, []string{got.Type, got.Data.JobName})
	}
}

// pause pauses a job, which is an event.
func (i instance) pause(t *testing.T, job client.Job) {
	t.Helper()
	i.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
}
