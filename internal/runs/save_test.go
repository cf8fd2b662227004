package runs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/testdb/enginetest"
)

var errNoLuck = errors.New("no luck")

func TestSave(t *testing.T) {
	t.Parallel()
	// The column that counts them is a smallint.
	t.Run("counts any number of failures in a row", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"maxAttempts":1`).Job.ID
		e.Exec(`update due set failures = 32767`)
		e.End(e.Begin(), errNoLuck)
		require.Equal(t, "FAILED", e.Runs(job)[0].Status)
	})
	t.Run("puts a failed run where its job is executed by then", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"minBackoffSeconds":0,"maxBackoffSeconds":0`).Job.ID
		attempt := e.Begin()
		e.Edit(job, `{"target":{"type":"worker","queue":"q"}}`)
		e.End(attempt, errNoLuck)
		require.EqualValues(t, 2, e.LeaseOne("q").Due.Attempt)
	})
	// However long the run waited.
	t.Run("skips what came due behind a run that waits for another", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		attempt := e.Begin()
		e.Start(job, db.OverlapPolicyBUFFERONE)
		e.Exec(`with j as (update jobs set anchor_at = anchor_at - interval '9 minutes')
			update due set scheduled_for = scheduled_for - interval '9 minutes', ready_at = ready_at - interval '9 minutes',
				started_at = started_at - interval '9 minutes', buffered_for = buffered_for - interval '9 minutes'`)
		attempt.Due.ScheduledFor = attempt.Due.ScheduledFor.Add(-9 * time.Minute)
		attempt.Begin(attempt.Due.StartedAt)
		e.End(attempt, nil)
		e.Execute(1)
		require.Equal(t, 9, e.Count(`select coalesce(sum(occurrences), 0) from runs where reason = 'OVERLAP'`))
		require.Equal(t, 1, e.Count(`select count(*) from due where ready_at > now()`))
	})
}
