package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/events"
	"punctual/internal/eventstream"
	"punctual/internal/jobs"
	"punctual/internal/labels"
)

const (
	// frameWithin is how long events may take to be written to a client. One that reads nothing is
	// cut off when the buffers on the way are full.
	frameWithin = 15 * time.Second
	// recheckEach is how often it is asked anew whether a follower may follow. When a key or a
	// namespace changes, that is asked at once, so this is for keys that expire, and for changes
	// that were not heard of.
	recheckEach = 30 * time.Second
	// reconnectAfter tells a client when to connect again, in milliseconds.
	reconnectAfter = "retry: 1000\n\n"
)

// followEvents is the operation of those who follow what happens.
const followEvents = "GET /api/v1/events"

// StreamEvents follows what happens in the namespace.
func (s *handlers) StreamEvents(ctx context.Context, r server.StreamEventsRequestObject) (server.StreamEventsResponseObject, error) {
	p := r.Params
	filter := eventstream.Filter{Namespace: access.From(ctx).Namespace, Job: p.JobId}
	for _, kind := range orDefault(p.Type, nil) {
		filter.Types |= events.SetOf(events.Type(kind))
	}
	filter.Keys = orDefault(p.Key, nil)
	if p.LabelSelector != nil {
		selector, err := labels.ParseSelector(*p.LabelSelector)
		if err != nil {
			return nil, invalidQuery("labelSelector", jobs.WrongFormat, err.Error())
		}
		filter.Selector = selector
	}
	if requestOf(ctx).isHead {
		return server.StreamEvents200TexteventStreamResponse{Body: strings.NewReader("")}, nil
	}
	follower, err := s.Events.Follow(ctx, filter, orDefault(p.LastEventID, ""))
	if err != nil {
		return nil, err
	}
	return &eventStream{handlers: s, ctx: ctx, follower: follower}, nil
}

// eventStream is a response that lasts as long as its client follows.
type eventStream struct {
	*handlers
	ctx      context.Context //nolint:containedctx // a response is written once, in its request
	follower *eventstream.Follower
}

// VisitStreamEventsResponse writes events until the client goes, may follow no longer, or the
// instance stops. Then it returns nil: the header is sent, and the client connects again.
func (e *eventStream) VisitStreamEventsResponse(w http.ResponseWriter) error {
	defer e.follower.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for proxies that would collect events
	w.WriteHeader(http.StatusOK)
	checkedAt := time.Now()
	connection := http.NewResponseController(w)
	send := func(frames ...[]byte) error {
		if err := connection.SetWriteDeadline(time.Now().Add(frameWithin)); err != nil {
			return err
		}
		for _, frame := range frames {
			if _, err := w.Write(frame); err != nil {
				return err
			}
		}
		return connection.Flush()
	}
	err := send([]byte(reconnectAfter), mark(e.follower.ID()))
	for err == nil {
		var batch eventstream.Batch
		if batch, err = e.follower.Next(e.ctx); err != nil {
			break
		}
		if batch.AccessChanged || time.Since(checkedAt) > recheckEach {
			if err = e.recheck(); err != nil {
				break
			}
			checkedAt = time.Now()
		}
		if len(batch.Frames) == 0 {
			batch.Frames = [][]byte{mark(batch.ID)}
		}
		err = send(batch.Frames...)
	}
	e.Logger.LogAttrs(e.ctx, slog.LevelDebug, "a client no longer follows events", slog.Any("error", err))
	return nil
}

// mark returns what says that the client is connected, and how far it has come: no event.
func mark(id string) []byte { return []byte(": following\nid: " + id + "\n\n") }

// recheck returns an error if the client may follow no longer.
func (e *eventStream) recheck() error {
	if err := access.Recheck(e.ctx); err != nil {
		return err
	}
	_, err := e.Known.Limits(e.ctx, access.From(e.ctx).Namespace)
	return err
}
