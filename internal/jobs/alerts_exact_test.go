package jobs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/testdb/enginetest"
)

// A run off the schedule may end after a run that made its job fail, and have been claimed before.
// What is told goes by the order of their instants, whoever ends first.
func TestRunsThatOverlapTellOfTheirJobExactly(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		failures [2]error // of the runs, in the order of their instants
		first    int      // which of them ends first
		want     []string
		failing  bool
	}{
		"a success after the failure recovers the job": {[2]error{errNoLuck, nil}, 0, []string{"job.failing x 1", "job.recovered x 0"}, false},
		"a success before the failure does not":        {[2]error{nil, errNoLuck}, 1, []string{"job.failing x 1"}, true},
		"a failure before a success is none of a row":  {[2]error{errNoLuck, nil}, 1, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			hear(e)
			job := e.Create(onDemand + `,"name":"x"}`).Job.ID
			e.Start(job, "")
			e.Start(job, "")
			rows := e.ClaimUnder(e.NewLease(), 0)
			require.Len(t, rows, 2)
			slices.SortFunc(rows, func(a, b db.ClaimRow) int { return a.Claimed.ScheduledFor.Compare(b.Claimed.ScheduledFor) })
			for _, i := range []int{is.first, 1 - is.first} {
				require.Empty(t, e.Store().Save(t.Context(), e.EndAll(rows[i:i+1:i+1], is.failures[i])))
			}
			require.ElementsMatch(t, is.want, told(e))
			require.Equal(t, is.failing, e.Job(job).Job.FailingSince != nil)
		})
	}
}

// A completion that tells of a job waits for an edit of it before it locks rows that the edit is to
// lock: otherwise the two deadlock, and one of them loses a second.
func TestTellingOfAJobDoesNotDeadlockWithItsEdit(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	hear(e)
	job := e.Due(`,"maxAttempts":1`).Job.ID
	ended := e.EndAll(e.ClaimUnder(e.NewLease(), 0), errNoLuck)
	edit, err := e.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = edit.Rollback(t.Context()) }()
	_, err = db.New(edit).LockJob(t.Context(), db.LockJobParams{ID: job, Namespace: "default"})
	require.NoError(t, err)
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		assert.Empty(t, e.Store().Save(t.Context(), ended))
	}()
	require.Eventually(t, func() bool {
		return e.Count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0
	}, 10*time.Second, time.Millisecond)
	_, err = edit.Exec(t.Context(), `set local lock_timeout = '100ms'`)
	require.NoError(t, err)
	rows, err := db.New(edit).LockDue(t.Context(), job)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.NoError(t, edit.Commit(t.Context()))
	<-saved
	require.Equal(t, []string{"job.failing due 1"}, told(e))
}
