package poller_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/poller"
)

// failedAttempts returns the failed attempts of a job's only run.
func (b bench) failedAttempts(job uuid.UUID) (all []server.FailedAttempt) {
	b.T.Helper()
	stored := b.Runs(job)
	require.Len(b.T, stored, 1)
	if stored[0].FailedAttempts != nil {
		require.NoError(b.T, json.Unmarshal(stored[0].FailedAttempts, &all))
	}
	return all
}

func TestLostAttempts(t *testing.T) {
	t.Parallel()
	t.Run("are failed attempts of their run", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		for range 2 {
			dead := b.NewLease()
			require.Len(t, b.ClaimUnder(dead, 0), 1)
			b.Expire(dead)
		}
		b.drain(succeed)
		lost := b.failedAttempts(job)
		require.Len(t, lost, 2)
		for i, attempt := range lost {
			require.EqualValues(t, i+1, attempt.Attempt)
			require.Equal(t, server.RunReasonLEASEEXPIRED, *attempt.Reason)
			require.Equal(t, "test", *attempt.ExecutedBy)
			require.Equal(t, "the lease of test expired before the attempt ended", attempt.Error)
			require.False(t, attempt.FinishedAt.Before(attempt.StartedAt.Time))
		}
		require.False(t, lost[1].StartedAt.Before(lost[0].FinishedAt.Time), "one after the other")
		require.Equal(t, "SUCCEEDED", b.Runs(job)[0].Status)
		require.Nil(t, b.Runs(job)[0].ExecutedBy, "a plain run costs nothing more")
	})
	t.Run("of an instance that gave its lease up", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		leaving := b.NewLease()
		require.Len(t, b.ClaimUnder(leaving, 0), 1)
		require.NoError(t, b.ExpireLease(t.Context(), leaving))
		_, err := b.FreeAbandoned(t.Context())
		require.NoError(t, err)
		b.drain(succeed)
		require.Equal(t, "test", *b.failedAttempts(job)[0].ExecutedBy)
	})
}

// A run whose attempts are used up is claimed once more, to be ended. If that claim is lost, no
// attempt is.
func TestAClaimThatOnlyEndsARunIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *newJob) { p.MaxAttempts = 1 })
	for range 3 {
		dead := b.NewLease()
		require.Len(t, b.ClaimUnder(dead, 0), 1)
		b.Expire(dead)
	}
	b.drain(succeed)
	require.Empty(t, b.failedAttempts(job))
	run := b.Runs(job)[0]
	require.Equal(t, "FAILED", run.Status)
	require.EqualValues(t, 1, run.Attempt)
}

// Nobody died: the run ends as its last attempt ended.
func TestARunThatIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		reason *db.RunReason
	}{
		"its job allows fewer attempts": {`update jobs set max_attempts = 1`, nil},
		"its job is deleted": {
			`update jobs set deleted_at = now(), target = '{"type":"log"}'`, new(db.RunReasonJOBDELETED),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.job(func(p *newJob) { p.MinBackoffSeconds, p.MaxBackoffSeconds = 3600, 3600 })
			require.Equal(t, 1, b.drain(fail))
			b.Exec(c.change)
			b.Exec(`update due set ready_at = scheduled_for`)
			b.drain(succeed)
			run := b.Runs(job)[len(b.Runs(job))-1]
			require.Equal(t, "FAILED", run.Status)
			require.Equal(t, "no luck", *run.Error)
			require.Equal(t, c.reason, run.Reason)
			require.EqualValues(t, 1, run.Attempt)
			require.NotNil(t, run.ExecutedBy)
			require.Nil(t, run.FailedAttempts, "its last attempt is the run's own")
		})
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	for _, logRuns := range []bool{false, true} {
		b := setup(t)
		b.job(func(p *newJob) { p.MaxAttempts, p.PauseAfterFailures = 1, new(int16(1)) })
		var log bytes.Buffer
		c := poller.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), LogRuns: logRuns}
		_, err := b.poller(fail, c).Pass(t.Context())
		require.NoError(t, err)
		require.Contains(t, log.String(), `level=WARN msg="run failed"`)
		require.Contains(t, log.String(), `error="no luck"`)
		require.Contains(t, log.String(), `level=WARN msg="job paused"`)
		b.job(func(p *newJob) { p.MaxRuns = new(int64(1)) })
		_, err = b.poller(succeed, c).Pass(t.Context())
		require.NoError(t, err)
		for _, line := range []string{`level=INFO msg="run ended"`, `level=INFO msg="job completed"`} {
			require.Equal(t, logRuns, bytes.Contains(log.Bytes(), []byte(line)), line)
		}
	}
}
