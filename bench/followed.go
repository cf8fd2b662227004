package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/eventstream"
	"punctual/internal/notify"
)

// followedName is the drain while somebody follows all that happens.
const followedName = "drain, with a follower"

// followedDrain measures an instance of the service while somebody follows it.
func (b *bench) followedDrain(ctx context.Context) (t Throughput, err error) {
	s, err := b.filled(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	hub := eventstream.New(eventstream.Config{Queries: s.Queries, Logger: b.log})
	listener := notify.NewListener(notify.ListenerConfig{
		Connect: func(ctx context.Context) (*pgx.Conn, error) { return database.Connect(ctx, s.url) },
		Logger:  b.log, Event: hub.Hear, Missed: hub.Missed, Due: func(_, _ string, _ time.Time) {},
	})
	following, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	background.Go(func() { listener.Run(following) })
	background.Go(func() { hub.Run(following) })
	follower, err := hub.Follow(ctx, eventstream.Filter{Namespace: access.DefaultNamespace}, "")
	if err != nil {
		return t, fmt.Errorf("follow: %w", err)
	}
	defer follower.Close()
	var frames, bytes int
	background.Go(func() {
		for {
			batch, err := follower.Next(following)
			if err != nil {
				return
			}
			for _, frame := range batch.Frames {
				frames, bytes = frames+1, bytes+len(frame)
			}
		}
	})
	t, err = b.drainOf(ctx, s, events.New(events.Config{Queries: s.Queries, Follower: hub}))
	stop()
	background.Wait()
	b.log.InfoContext(ctx, "followed", "events", frames, "bytes", bytes)
	return t, err
}
