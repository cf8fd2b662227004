package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/runid"
)

// findRuns lists runs of all jobs.
func (i instance) findRuns(t *testing.T, p client.ListRunsParams) (ids []uuid.UUID) {
	t.Helper()
	p.Limit = new(client.Limit(500))
	got, err := i.ListRunsWithResponse(t.Context(), &p)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
	for _, run := range got.JSON200.Items {
		ids = append(ids, run.Id)
	}
	return ids
}

// Each filter of both lists of runs finds what it says, also several values of it.
func TestRunsAreFound(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.makeJobs(t, 1, "payments", "")[0]
	other := service.createJob(t, "other", 3600, `null`).Id
	base := time.Now().UTC().Truncate(time.Second).Add(-10 * time.Hour)
	_, err := pool.Exec(t.Context(), `select create_runs_partition($1::date)`, base)
	require.NoError(t, err)
	store := func(of uuid.UUID, after time.Duration, values string) uuid.UUID {
		t.Helper()
		_, err := pool.Exec(t.Context(), `insert into runs (job_id, scheduled_for, started_at, finished_at, attempt, occurrences,
			status, reason, error, trigger) values ($1, $2, $2, $2, 1, 1, `+values+`)`, of, base.Add(after))
		require.NoError(t, err)
		return runid.New(of, base.Add(after))
	}
	ok := store(job, 0, `'SUCCEEDED', null, null, 'SCHEDULE'`)
	no := store(job, 1*time.Second, `'FAILED', 'DEADLINE_EXCEEDED', 'no', 'SCHEDULE'`)
	hand := store(job, 2*time.Second, `'CANCELED', 'REQUESTED', null, 'MANUAL'`)
	elsewhere := store(other, 3*time.Second, `'FAILED', null, 'no', 'SCHEDULE'`)
	open := service.startRun(t, other, "").Id

	selector := client.LabelSelector("team=payments")
	at := func(after time.Duration) *time.Time { return new(base.Add(after)) }
	for name, c := range map[string]struct {
		params client.ListRunsParams
		want   []uuid.UUID
	}{
		"all":              {client.ListRunsParams{}, []uuid.UUID{open, elsewhere, hand, no, ok}},
		"a status":         {client.ListRunsParams{Status: &client.RunStatuses{"FAILED"}}, []uuid.UUID{elsewhere, no}},
		"several statuses": {client.ListRunsParams{Status: &client.RunStatuses{"PENDING", "SUCCEEDED"}}, []uuid.UUID{open, ok}},
		"several reasons":  {client.ListRunsParams{Reason: &client.RunReasons{"REQUESTED", "DEADLINE_EXCEEDED"}}, []uuid.UUID{hand, no}},
		"several triggers": {client.ListRunsParams{Trigger: &client.RunTriggers{"MANUAL", "RETRY"}}, []uuid.UUID{open, hand}},
		"a label":          {client.ListRunsParams{LabelSelector: &selector}, []uuid.UUID{hand, no, ok}},
		"a job":            {client.ListRunsParams{JobId: &other}, []uuid.UUID{open, elsewhere}},
		"a time":           {client.ListRunsParams{From: at(time.Second), To: at(3 * time.Second)}, []uuid.UUID{hand, no}},
	} {
		require.Equal(t, c.want, service.findRuns(t, c.params), name)
	}
	of, err := service.ListJobRunsWithResponse(t.Context(), job, &client.ListJobRunsParams{
		Status: &client.RunStatuses{"FAILED", "CANCELED"}, From: at(time.Second), To: at(2 * time.Second),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, of.StatusCode(), "listed: %s", of.Body)
	require.Len(t, of.JSON200.Items, 1)
	require.Equal(t, no, of.JSON200.Items[0].Id)

	for _, to := range []time.Duration{0, -time.Second} {
		refused, err := service.ListRunsWithResponse(t.Context(), &client.ListRunsParams{From: at(0), To: at(to)})
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, refused.StatusCode())
		require.Contains(t, string(refused.Body), `"from"`, "the field is named")
		ofJob, err := service.ListJobRunsWithResponse(t.Context(), job, &client.ListJobRunsParams{From: at(0), To: at(to)})
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, ofJob.StatusCode())
		require.Contains(t, string(ofJob.Body), `"from"`, "the field is named")
	}
}

// A thousand runs are retried, and their retries canceled, each once however often it is asked.
func TestAThousandRunsAreRetriedAndCanceled(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.makeJobs(t, 1000, "payments", "")
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	_, err := pool.Exec(t.Context(), `select create_runs_partition($1::date)`, at)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `insert into runs (job_id, scheduled_for, started_at, finished_at, attempt, occurrences, status, error)
		select id, $1::timestamptz, $1, $1, 1, 1, 'FAILED', 'no' from jobs`, at)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `analyze`) // as autovacuum does in time
	require.NoError(t, err)
	change := func(action client.RunBulkAction) (changed int32) {
		t.Helper()
		selector := client.LabelSelector("team=payments")
		body := client.RunBulk{Action: action, Limit: new(int32(1000)), Selector: client.RunSelector{LabelSelector: &selector}}
		for isMore := true; isMore; isMore = body.Cursor != nil {
			got, err := service.ChangeRunsWithResponse(t.Context(), nil, body)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, got.StatusCode(), "changed: %.1000s", got.Body)
			require.Zero(t, got.JSON200.Failed)
			changed, body.Cursor = changed+got.JSON200.Changed, got.JSON200.NextCursor
		}
		return changed
	}
	for _, c := range []struct {
		action client.RunBulkAction
		want   int32
	}{{"RETRY", 1000}, {"RETRY", 0}, {"CANCEL", 1000}, {"CANCEL", 0}} {
		require.Equal(t, c.want, change(c.action), fmt.Sprint(c.action))
	}
}
