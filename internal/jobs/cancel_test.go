package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("ends a run that waits for another at once", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"overlapPolicy":"BUFFER_ONE"`).Job.ID
		first := e.Begin()
		waits := enginetest.IDOf(e.Start(job, ""))
		require.Equal(t, "CANCELED", e.Cancel(waits).Status)
		_, err := e.Jobs.Cancel(t.Context(), enginetest.By, waits)
		var conflict *jobs.Conflict
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, jobs.RunHasEnded, conflict.Code)
		another := e.Start(job, "")
		require.Equal(t, "PENDING", another.Status, "there is room again")
		e.End(first, nil)
		e.Execute(1)
		require.Equal(t, "SUCCEEDED", e.Run(enginetest.IDOf(another)).Status)
		require.Len(t, e.Runs(job), 3)
	})
}
