package jobs_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/jobs"
	"punctual/internal/labels"
	"punctual/internal/runid"
	"punctual/internal/testdb/enginetest"
)

// findAll reads all pages of a list of runs, and returns their ids.
func findAll(t *testing.T, e *enginetest.Engine, by access.Caller, f jobs.RunFilter, limit int32) (ids []uuid.UUID) {
	t.Helper()
	for next := (&history.Place{At: clock.EndOfTime}); next != nil; {
		var page []jobs.Run
		var err error
		page, next, err = e.Jobs.FindRuns(t.Context(), by, f, *next, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), int(limit))
		for _, run := range page {
			ids = append(ids, enginetest.IDOf(run))
		}
	}
	return ids
}

// ended stores runs of a job that have ended, one at each instant.
func ended(t *testing.T, e *enginetest.Engine, job uuid.UUID, values string, ats ...time.Time) (ids []uuid.UUID) {
	t.Helper()
	for _, at := range ats {
		ids = append(ids, runid.New(job, at))
	}
	require.NoError(t, history.CreatePartitions(t.Context(), e.Queries, ats))
	e.Exec(`
		insert into runs (job_id, scheduled_for, started_at, finished_at, attempt, occurrences, status, reason, error, trigger, retry_of)
		select $1, at, at, at, 1, 1, `+values+` from unnest($2::timestamptz[]) as at`, job, ats)
	return ids
}

const (
	succeeded = `'SUCCEEDED', null, null, 'SCHEDULE', null`
	byHand    = `'SUCCEEDED', null, null, 'MANUAL', null`
	failed    = `'FAILED', null, 'no', 'SCHEDULE', null`
	tooLong   = `'FAILED', 'DEADLINE_EXCEEDED', 'no', 'SCHEDULE', null`
)

func TestFindRuns(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	now := e.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	a := e.Create(`{"name":"a","intervalInSeconds":86400,"labels":{"team":"red"}}`).Job.ID
	b := e.Create(`{"name":"b","intervalInSeconds":86400,"labels":{"team":"blue"}}`).Job.ID
	gone := e.Create(`{"name":"gone","intervalInSeconds":86400,"labels":{"team":"red"}}`).Job.ID
	due := e.Due("")
	open := runid.New(due.Job.ID, *due.NextRunAt)
	ok := ended(t, e, a, succeeded, ago(2*time.Hour), ago(4*time.Hour))
	hand := ended(t, e, b, byHand, ago(3*time.Hour))
	no := ended(t, e, b, failed, ago(5*time.Hour))
	long := ended(t, e, gone, tooLong, ago(6*time.Hour))
	old := ended(t, e, a, failed, ago(30*time.Hour))
	e.Delete(gone)
	elsewhere := enginetest.By
	elsewhere.Namespace = "elsewhere"

	selector := func(text string) labels.Selector {
		s, err := labels.ParseSelector(text)
		require.NoError(t, err)
		return s
	}
	for name, c := range map[string]struct {
		filter jobs.RunFilter
		want   []uuid.UUID
	}{
		"all of a day, those of deleted jobs too": {jobs.RunFilter{}, []uuid.UUID{open, ok[0], hand[0], ok[1], no[0], long[0]}},
		"of longer ago":             {jobs.RunFilter{From: new(ago(48 * time.Hour)), To: new(ago(5 * time.Hour))}, []uuid.UUID{long[0], old[0]}},
		"from is included":          {jobs.RunFilter{From: new(ago(3 * time.Hour).Truncate(time.Microsecond))}, []uuid.UUID{open, ok[0], hand[0]}},
		"of one status":             {jobs.RunFilter{Statuses: []string{"FAILED"}}, []uuid.UUID{no[0], long[0]}},
		"of several statuses":       {jobs.RunFilter{Statuses: []string{"FAILED", "PENDING"}}, []uuid.UUID{open, no[0], long[0]}},
		"that have succeeded":       {jobs.RunFilter{Statuses: []string{"SUCCEEDED"}}, []uuid.UUID{ok[0], hand[0], ok[1]}},
		"of a reason":               {jobs.RunFilter{Reasons: []string{"DEADLINE_EXCEEDED", "MISFIRE"}}, []uuid.UUID{long[0]}},
		"of a trigger":              {jobs.RunFilter{Triggers: []string{"MANUAL", "RETRY"}}, []uuid.UUID{hand[0]}},
		"of a trigger and a status": {jobs.RunFilter{Triggers: []string{"MANUAL"}, Statuses: []string{"FAILED"}}, nil},
		"of a job":                  {jobs.RunFilter{JobID: &b}, []uuid.UUID{hand[0], no[0]}},
		"of a deleted job":          {jobs.RunFilter{JobID: &gone}, []uuid.UUID{long[0]}},
		"by label":                  {jobs.RunFilter{Labels: selector("team=red")}, []uuid.UUID{ok[0], ok[1]}},
		"by the lack of a label":    {jobs.RunFilter{Labels: selector("!team")}, []uuid.UUID{open}},
		"by label, of another job":  {jobs.RunFilter{Labels: selector("team=red"), JobID: &b}, nil},
		"of a time without runs":    {jobs.RunFilter{From: new(ago(100 * time.Hour)), To: new(ago(90 * time.Hour))}, nil},
		"of the future":             {jobs.RunFilter{From: new(now.Add(time.Hour)), To: new(now.Add(1e6 * time.Hour))}, nil},
		"since ever":                {jobs.RunFilter{From: &time.Time{}, Statuses: []string{"FAILED"}}, []uuid.UUID{no[0], long[0], old[0]}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, max := range []int32{1, 2, 100} {
				require.Equal(t, c.want, findAll(t, e, enginetest.By, c.filter, max), "pages of %d", max)
			}
			require.Empty(t, findAll(t, e, elsewhere, c.filter, 100), "in another namespace")
		})
	}
}

// Each run is listed once at any size of a page, of many jobs and of many runs at one instant, and
// though runs end meanwhile. Pages may end early.
func TestFindManyRuns(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	require.NoError(t, history.CreatePartitions(t.Context(), e.Queries, []time.Time{e.Now().Add(-time.Hour)}))
	e.Exec(`insert into jobs (id, namespace, updated_by, name, payload, target, interval_seconds, anchor_at, jitter_seconds,
			delete_after_completion, misfire_policy, overlap_policy, max_attempts, min_backoff_seconds,
			max_backoff_seconds, attempt_deadline_seconds, run_history, status, created_at, updated_at, labels)
		select gen_random_uuid(), case when n % 100 = 0 then 'small' else 'default' end, 'test', 'job', 'null', '{"type":"log"}',
			60, now(), 0, false, 'FIRE_ALL', 'SKIP', 3, 1, 1, 60, 'ALL', 'ACTIVE', now(), now(), case when n % 2 = 0 then '{"even":"yes"}'::jsonb end
		from generate_series(1, 1200) as n`)
	e.Exec(`insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences)
		select id, at, at, at, 'SUCCEEDED', 1, 1
		from jobs, generate_series(date_trunc('minute', now()) - interval '20 minutes', now() - interval '1 minute', interval '1 minute') as at`)
	e.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule)
		select id, date_trunc('minute', now()), date_trunc('minute', now()), true from jobs`)
	// More jobs than a list looks up one by one, without runs: their namespace is searched by time.
	e.Exec(`insert into jobs (id, namespace, updated_by, name, payload, target, interval_seconds, anchor_at, jitter_seconds,
			delete_after_completion, misfire_policy, overlap_policy, max_attempts, min_backoff_seconds,
			max_backoff_seconds, attempt_deadline_seconds, run_history, status, created_at, updated_at)
		select gen_random_uuid(), 'quiet', 'test', 'job', 'null', '{"type":"log"}', 60, now(), 0, false, 'FIRE_ALL', 'SKIP', 3, 1, 1,
			60, 'ALL', 'ACTIVE', now(), now()
		from generate_series(1, 600)`)
	e.Exec(`analyze`)
	to := new(time.Time)
	require.NoError(t, e.Pool.QueryRow(t.Context(), `select max(scheduled_for) + interval '1 second' from due`).Scan(to)) // not those that follow
	small := enginetest.By
	small.Namespace = "small"
	quiet := enginetest.By
	quiet.Namespace = "quiet"
	page, next, err := e.Jobs.FindRuns(t.Context(), quiet, jobs.RunFilter{To: to}, history.Place{At: clock.EndOfTime}, 10)
	require.NoError(t, err)
	require.Empty(t, page)
	require.NotNil(t, next, "a page ends early that has found nothing")
	ending := make(chan struct{})
	go func() { // while the lists below are read
		defer close(ending)
		for e.Pass() > 0 {
		}
	}()
	t.Cleanup(func() { <-ending })
	even, err := labels.ParseSelector("even=yes")
	require.NoError(t, err)
	for _, c := range []struct {
		by     access.Caller
		filter jobs.RunFilter
		where  string
		max    int32
	}{
		{enginetest.By, jobs.RunFilter{}, `namespace = 'default'`, 500},
		{enginetest.By, jobs.RunFilter{}, `namespace = 'default'`, 997},
		{small, jobs.RunFilter{}, `namespace = 'small'`, 7},
		{enginetest.By, jobs.RunFilter{Labels: even}, `namespace = 'default' and labels is not null`, 500},
		{enginetest.By, jobs.RunFilter{Statuses: []string{"FAILED"}}, `false`, 500},
		{quiet, jobs.RunFilter{}, `false`, 500},
	} {
		t.Run(fmt.Sprint(c.where, " ", c.max), func(t *testing.T) {
			t.Parallel()
			c.filter.To = to
			ids := findAll(t, e, c.by, c.filter, c.max)
			require.Len(t, ids, e.Count(`select 21 * count(*) from jobs where `+c.where))
			seen := map[uuid.UUID]bool{}
			for _, id := range ids {
				require.False(t, seen[id], "listed twice")
				seen[id] = true
			}
			require.True(t, slices.IsSortedFunc(ids, func(a, b uuid.UUID) int {
				atA, _, _ := runid.Parse(a)
				atB, _, _ := runid.Parse(b)
				return atB.Compare(atA)
			}))
		})
	}
}
