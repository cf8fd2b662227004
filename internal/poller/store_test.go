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

// lines is a log that hands on what is written to it, line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestARetryIsStoredOnceThoughItsBatchFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fails, succeeds := b.dueJob(), b.dueJob()
	b.exec(`alter table runs add constraint refused check (status <> 'SUCCEEDED') not valid`)
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
	require.Equal(t, 1, b.count("select count(*) from due where failed_attempts is not null and lease_id is null"),
		"what is to be tried again does not wait for what cannot be stored")
	b.exec(`alter table runs drop constraint refused`)
	require.NoError(t, <-passed)
	require.Len(t, b.runs(succeeds), 1)
	close(log)
	for line := range log {
		require.NotContains(t, line, "taken over", "nobody else had a hand in it")
	}
}

func TestARunThatIsRefusedKeepsNoOtherFromBeingStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	refused, others := b.dueJob(), []uuid.UUID{b.dueJob(), b.dueJob(), b.dueJob(), b.dueJob()}
	b.exec(fmt.Sprintf(`alter table runs add constraint refused check (job_id <> '%s') not valid`, refused))
	passed := make(chan error)
	go func() {
		_, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
		passed <- err
	}()
	require.Eventually(t, func() bool { return b.count("select count(*) from runs") == len(others) }, 10*time.Second, 10*time.Millisecond,
		"all but one are stored")
	b.exec(`alter table runs drop constraint refused`)
	require.NoError(t, <-passed)
	require.Len(t, b.runs(refused), 1, "and that one when it can be")
}

// The schedule goes on, and the run says why it is not what it was.
func TestARunThatIsAlwaysRefusedEndsFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.dueJob()
	b.exec(`alter table runs add constraint refused check (status <> 'SUCCEEDED')`)
	log := make(lines, 1000)
	_, err := b.poller(succeed, poller.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}).Pass(t.Context())
	require.NoError(t, err)
	stored := b.runs(job)
	require.Len(t, stored, 1)
	require.Equal(t, "FAILED", stored[0].Status)
	require.Contains(t, *stored[0].Error, "could not be stored")
	require.Contains(t, *stored[0].Error, "refused", "the error of the database")
	require.Equal(t, 1, b.count("select count(*) from due where lease_id is null and ready_at > now()"), "the schedule goes on")
	close(log)
	errors := 0
	for line := range log {
		if strings.Contains(line, "level=ERROR") {
			errors++
		}
	}
	require.Equal(t, 1, errors, "not a line for each try")
}

// Nor what ends later, though that fills no batch.
func TestARunThatIsRefusedHoldsUpNothingThatEndsLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	refused := b.dueJob()
	b.exec(fmt.Sprintf(`alter table runs add constraint refused check (job_id <> '%s') not valid`, refused))
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
	require.Eventually(t, func() bool { return len(b.runs(later)) == 1 && b.runs(later)[0].Status == "SUCCEEDED" }, 10*time.Second,
		10*time.Millisecond, "it is stored")
	b.exec(`alter table runs drop constraint refused`)
	stop()
	<-stopped
	require.NoError(t, p.Drain(t.Context()))
	require.Len(t, b.runs(refused), 1, "and the other when it can be")
}

// The database refuses it, and what was stored first stands. That is no reason to hold up its batch, or its schedule.
func TestADoubledOccurrenceIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	again, others := b.dueJob(), []uuid.UUID{b.dueJob(), b.dueJob()}
	b.exec(`insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences, error)
		select job_id, scheduled_for, scheduled_for, scheduled_for, 'FAILED', 1, 1, 'the first' from due where job_id = $1`, again)
	n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, n)
	for _, job := range append(others, again) {
		require.Len(t, b.runs(job), 1)
		require.Equal(t, 1, b.count("select count(*) from due where lease_id is null and ready_at > now() and job_id = '"+job.String()+"'"),
			"the schedule goes on")
	}
	require.Equal(t, "the first", *b.runs(again)[0].Error)
}
