package poller_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/executor"
	"punctual/internal/lease"
	"punctual/internal/poller"
	"punctual/internal/runid"
)

func TestExecute(t *testing.T) {
	t.Parallel()
	t.Run("tells the executor of its run", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		var told executor.Run
		p := b.poller(executorFunc(func(_ context.Context, run executor.Run) error {
			told = run
			return nil
		}), poller.Config{})

		n, err := p.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		run := b.Runs(job)[0]
		require.Equal(t, executor.Run{
			ID: runid.New(job, run.ScheduledFor), JobID: job, Namespace: access.DefaultNamespace, JobName: "due",
			ScheduledFor: run.ScheduledFor, Attempt: 1, Payload: []byte(`{"n":1}`),
			Definition: []byte(`{"type":"log"}`),
		}, told)
	})
	t.Run("stores what the executor returns", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			execute executorFunc
			status  db.RunStatus
			error   string
		}{
			"nil": {succeed, db.RunStatusSUCCEEDED, ""},
			"error": {
				func(context.Context, executor.Run) error { return errors.New("no such host") }, db.RunStatusFAILED,
				"no such host",
			},
			"panic": {func(context.Context, executor.Run) error { panic("oops") }, db.RunStatusFAILED, "panic: oops"},
			"text that is none": {
				func(context.Context, executor.Run) error { return errors.New("a\x00b\xffc") }, db.RunStatusFAILED, "a�b�c",
			},
			"no text": {
				func(context.Context, executor.Run) error { return errors.New("") }, db.RunStatusFAILED,
				"failed without saying why",
			},
			"long text": {
				func(context.Context, executor.Run) error { return errors.New(strings.Repeat("é", 4000)) }, db.RunStatusFAILED,
				strings.Repeat("é", 2048),
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				job := b.job(func(p *newJob) { p.MaxAttempts = 1 })
				_, err := b.poller(c.execute, poller.Config{}).Pass(t.Context())
				require.NoError(t, err)

				runs := b.Runs(job)
				require.Len(t, runs, 1)
				require.Equal(t, string(c.status), runs[0].Status)
				if c.error == "" {
					require.Nil(t, runs[0].Error)
				} else {
					require.Equal(t, c.error, *runs[0].Error)
				}
			})
		}
	})
	t.Run("bounds the concurrency", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 20 {
			b.dueJob()
		}
		var running, most atomic.Int64
		gate := make(chan struct{}, 20)
		p := b.poller(executorFunc(func(context.Context, executor.Run) error {
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			<-gate
			running.Add(-1)
			return nil
		}), poller.Config{MaxConcurrentRuns: 3, PollInterval: time.Millisecond})

		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			p.Run(ctx)
			close(stopped)
		}()
		require.Eventually(t, func() bool { return running.Load() == 3 }, 10*time.Second, time.Millisecond)
		require.Equal(
			t,
			3,
			b.Count("select count(*) from due where lease_id is not null"),
			"no more is claimed than can start",
		)
		for range 20 {
			gate <- struct{}{}
		}
		require.Eventually(
			t,
			func() bool { return b.Count("select count(*) from runs") == 20 },
			10*time.Second,
			5*time.Millisecond,
		)
		stop()
		<-stopped
		require.NoError(t, p.Drain(t.Context()))
		require.EqualValues(t, 3, most.Load())
	})
	// The run is not completed: another instance makes another attempt.
	t.Run("is cut off by Drain, and the run given back", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		keeper := lease.NewKeeper(lease.Config{Queries: b.Queries})
		begun := make(chan struct{})
		p := b.poller(executorFunc(func(ctx context.Context, _ executor.Run) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		}), poller.Config{Lease: keeper})

		ctx, stop := context.WithCancel(t.Context())
		go p.Run(ctx)
		<-begun
		stop()
		now, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, p.Drain(now), context.Canceled)
		require.Equal(t, "RUNNING", b.Runs(job)[0].Status)

		held, err := keeper.Release(t.Context())
		require.NoError(t, err)
		require.True(t, held)
		_, err = b.FreeAbandoned(t.Context())
		require.NoError(t, err)
		n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		runs := b.Runs(job)
		require.Len(t, runs, 1)
		require.Equal(t, "SUCCEEDED", runs[0].Status)
		require.EqualValues(t, 2, runs[0].Attempt, "both attempts count")
	})
	// What the executor returns then counts for nothing.
	t.Run("is stopped by a lost lease", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		p := b.poller(executorFunc(func(ctx context.Context, _ executor.Run) error {
			<-ctx.Done()
			require.ErrorIs(t, context.Cause(ctx), lease.ErrLost)
			return nil
		}), poller.Config{Lease: lease.NewKeeper(lease.Config{Queries: b.Queries, Duration: time.Second})})

		n, err := p.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "RUNNING", b.Runs(job)[0].Status, "it is for others to execute")
	})
}
