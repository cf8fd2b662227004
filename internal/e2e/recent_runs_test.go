package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/runid"
)

// The latest runs of the jobs of a page are read by one request: what a list of jobs draws of them.
func TestLatestRunsOfManyJobs(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job, other, idle := service.createJob(t, "job", 86_400, `null`).Id, service.createJob(t, "other", 86_400, `null`).Id, service.createJob(t, "idle", 86_400, `null`).Id
	base := time.Now().UTC().Truncate(time.Second).Add(-10 * time.Hour)
	for _, day := range []time.Time{base, base.Add(2 * time.Hour), base.AddDate(0, 0, -20)} {
		_, err := pool.Exec(t.Context(), `select create_runs_partition($1::date)`, day)
		require.NoError(t, err)
	}
	store := func(of uuid.UUID, at time.Time, values string) uuid.UUID {
		t.Helper()
		_, err := pool.Exec(t.Context(), `insert into runs (job_id, scheduled_for, started_at, finished_at, attempt, occurrences,
			status, reason, error) select $1, $2::timestamptz, `+values, of, at)
		require.NoError(t, err)
		return runid.New(of, at)
	}
	ok := store(job, base, `$2::timestamptz + interval '3 ms', $2::timestamptz + interval '1 s', 1, 1, 'SUCCEEDED', null, null`)
	no := store(job, base.Add(time.Hour), `$2, $2, 1, 1, 'FAILED', 'DEADLINE_EXCEEDED', 'no'`)
	missed := store(job, base.Add(2*time.Hour), `null, $2, 0, 7, 'SKIPPED', 'JOB_PAUSED', null`)
	long := store(other, base.AddDate(0, 0, -20), `$2, $2, 1, 1, 'SUCCEEDED', null, null`)
	open := service.startRun(t, other, "").Id
	_, err := service.RunJobWithResponse(t.Context(), other, nil, client.RunStart{StartAt: new(time.Now().Add(time.Hour))})
	require.NoError(t, err, "a run that is due later is not among them")

	recent := func(count *int32, ids ...uuid.UUID) []client.RecentRuns {
		t.Helper()
		got, err := service.ListRecentRunsWithResponse(t.Context(), &client.ListRecentRunsParams{JobId: ids, Count: count})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
		return got.JSON200.Items
	}
	idsOf := func(runs []client.RecentRun) (ids []uuid.UUID) {
		for _, run := range runs {
			ids = append(ids, run.Id)
		}
		return ids
	}
	got := recent(nil, other, idle, uuid.Must(uuid.NewV7()), job)
	require.Len(t, got, 2, "those without runs, and unknown ones, are left out")
	require.Equal(t, []uuid.UUID{other, job}, []uuid.UUID{got[0].JobId, got[1].JobId}, "in the order of the request")
	require.Equal(t, []uuid.UUID{open, long}, idsOf(got[0].Runs))
	require.Equal(t, []uuid.UUID{missed, no, ok}, idsOf(got[1].Runs))
	require.Equal(t, client.RecentRun{
		Id: ok, Status: client.RunStatusSUCCEEDED, Trigger: client.RunTriggerSCHEDULE, ScheduledFor: base, Occurrences: 1,
		LatenessMilliseconds: new(int64(3)), DurationMilliseconds: new(int64(997)),
	}, got[1].Runs[2])
	require.Equal(t, int64(7), got[1].Runs[0].Occurrences)
	require.Nil(t, got[1].Runs[0].LatenessMilliseconds, "it never started")
	require.Nil(t, got[0].Runs[0].DurationMilliseconds, "it has not ended")
	require.Equal(t, []uuid.UUID{missed, no}, idsOf(recent(new(int32(2)), job)[0].Runs))

	red := service.in(t, "red")
	makeNamespace(t, pool, "red")
	hidden, err := red.ListRecentRunsWithResponse(t.Context(), &client.ListRecentRunsParams{JobId: []uuid.UUID{job}})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, hidden.StatusCode(), "listed: %s", hidden.Body)
	require.Empty(t, hidden.JSON200.Items, "a job of another namespace does not exist")
}
