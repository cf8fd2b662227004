package poller_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/executor"
	"punctual/internal/poller"
)

// lines is a log. It sends each line that is written to it.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestStore(t *testing.T) {
	t.Parallel()
	t.Run("stores a retry once, though its batch fails", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		fails, succeeds := b.dueJob(), b.dueJob()
		b.Exec(`alter table runs add constraint refused check (status <> 'SUCCEEDED') not valid`)
		log := make(lines, 1000)
		p := b.poller(executorFunc(func(_ context.Context, run executor.Run) error {
			if run.JobID == fails {
				return errors.New("once more")
			}
			return nil
		}), poller.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})

		passed := make(chan error)
		go func() {
			n, err := p.Pass(t.Context())
			assert.Equal(t, 2, n, "runs in the batch")
			passed <- err
		}()
		require.Contains(t, <-log, "refuses to store", "the completion was refused")
		require.Equal(t, 1, b.Count("select count(*) from due where failed_attempts is not null and lease_id is null"),
			"what is to be tried again does not wait for what cannot be stored")
		b.Exec(`alter table runs drop constraint refused`)
		require.NoError(t, <-passed)
		require.Len(t, b.Runs(succeeds), 1)
		close(log)
		for line := range log {
			require.NotContains(t, line, "taken over", "nobody else had a hand in it")
		}
	})
	t.Run("stores a batch without the run that is refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		refused, others := b.dueJob(), []uuid.UUID{b.dueJob(), b.dueJob(), b.dueJob(), b.dueJob()}
		b.Exec(fmt.Sprintf(`alter table runs add constraint refused check (job_id <> '%s') not valid`, refused))
		passed := make(chan error)
		go func() {
			_, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
			passed <- err
		}()
		require.Eventually(
			t,
			func() bool { return b.Count("select count(*) from runs") == len(others) },
			10*time.Second,
			10*time.Millisecond,
			"all but one are stored",
		)
		b.Exec(`alter table runs drop constraint refused`)
		require.NoError(t, <-passed)
		require.Len(t, b.Runs(refused), 1, "and that one when it can be")
	})
	// The schedule goes on, and the run says why it is not what it was.
	t.Run("ends a run failed that is always refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		b.Exec(`alter table runs add constraint refused check (status <> 'SUCCEEDED')`)
		log := make(lines, 1000)
		_, err := b.poller(succeed, poller.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}).Pass(t.Context())
		require.NoError(t, err)
		stored := b.Runs(job)
		require.Len(t, stored, 1)
		require.Equal(t, "FAILED", stored[0].Status)
		require.Contains(t, *stored[0].Error, "could not be stored")
		require.Contains(t, *stored[0].Error, "refused", "the error of the database")
		require.Equal(
			t,
			1,
			b.Count("select count(*) from due where lease_id is null and ready_at > now()"),
			"the schedule goes on",
		)
		close(log)
		errors := 0
		for line := range log {
			if strings.Contains(line, "level=ERROR") {
				errors++
			}
		}
		require.Equal(t, 1, errors, "not a line for each try")
	})
	// Also if that fills no batch.
	t.Run("stores what ends after a refused run", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		refused := b.dueJob()
		b.Exec(fmt.Sprintf(`alter table runs add constraint refused check (job_id <> '%s') not valid`, refused))
		log := make(lines, 1000)
		p := b.poller(succeed, poller.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			p.Run(ctx)
		}()
		require.Contains(t, <-log, "refuses to store", "the completion was refused")
		later := b.dueJob()
		p.Due(time.Time{})
		require.Eventually(
			t,
			func() bool { return len(b.Runs(later)) == 1 && b.Runs(later)[0].Status == "SUCCEEDED" },
			10*time.Second,
			10*time.Millisecond,
			"it is stored",
		)
		b.Exec(`alter table runs drop constraint refused`)
		stop()
		<-stopped
		require.NoError(t, p.Drain(t.Context()))
		require.Len(t, b.Runs(refused), 1, "and the other when it can be")
	})
	// The run that was stored first stands. Neither its batch nor its schedule is held up.
	t.Run("refuses a doubled occurrence", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		again, others := b.dueJob(), []uuid.UUID{b.dueJob(), b.dueJob()}
		b.Exec(`insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences, error)
			select job_id, scheduled_for, scheduled_for, scheduled_for, 'FAILED', 1, 1, 'the first'
				from due where job_id = $1`, again)
		n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, n)
		for _, job := range append(others, again) {
			require.Len(t, b.Runs(job), 1)
			require.Equal(
				t,
				1,
				b.Count("select count(*) from due where lease_id is null and ready_at > now() and job_id = '"+job.String()+"'"),
				"the schedule goes on",
			)
		}
		require.Equal(t, "the first", *b.Runs(again)[0].Error)
	})
}
