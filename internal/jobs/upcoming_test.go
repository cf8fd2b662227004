package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/enginetest"
)

func TestUpcoming(t *testing.T) {
	t.Parallel()
	upcoming := func(t *testing.T, e *enginetest.Engine, job uuid.UUID) (at []time.Time) {
		t.Helper()
		all, err := e.Jobs.Upcoming(t.Context(), enginetest.By, job, 5)
		require.NoError(t, err)
		for _, occurrence := range all {
			at = append(at, occurrence.ScheduledFor)
		}
		return at
	}
	// It says so when the last run begins, not when that ends.
	t.Run("ends with the last of maxRuns", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		for maxRuns, more := range map[int]int{1: 0, 2: 1} {
			job := e.Due(fmt.Sprintf(`,"maxRuns":%d`, maxRuns)).Job.ID
			require.Len(t, upcoming(t, e, job), more, "of %d, one is due", maxRuns)
			run := e.Begin()
			require.Len(t, upcoming(t, e, job), more, "of %d, one executes", maxRuns)
			require.Equal(t, more > 0, e.Job(job).NextRunAt != nil, "of %d, one executes", maxRuns)
			e.End(run, nil)
			require.Equal(t, more > 0, e.Job(job).NextRunAt != nil, "of %d, one has ended", maxRuns)
		}
	})
	// What was due while a run executes, or while nobody could execute it, is past.
	t.Run("is from now on", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"late","intervalInSeconds":60}`).Job.ID
		e.Age(job, 10*time.Minute+30*time.Second)
		next := e.Job(job).Job.CreatedAt.Add(11 * time.Minute)
		require.WithinDuration(t, next, upcoming(t, e, job)[0], 0, "the job is overdue")
		e.ClaimOne()
		require.WithinDuration(t, next, upcoming(t, e, job)[0], 0, "the job executes")
	})
}
