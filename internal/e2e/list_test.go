package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/testdb"
)

func TestList(t *testing.T) {
	t.Parallel()
	t.Run("of jobs by page and by cursor", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		var newestFirst []uuid.UUID
		for range 7 {
			newestFirst = append([]uuid.UUID{service.createJob(t, "listed", 60, `null`).Id}, newestFirst...)
		}
		paused := newestFirst[3]
		service.updateJob(t, paused, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})

		list := func(p client.ListJobsParams) client.JobPage {
			t.Helper()
			got, err := service.ListJobsWithResponse(t.Context(), &p)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
			return *got.JSON200
		}
		ids := func(p client.JobPage) (ids []uuid.UUID) {
			for _, job := range p.Items {
				ids = append(ids, job.Id)
			}
			return ids
		}

		first := list(client.ListJobsParams{})
		require.Equal(t, newestFirst, ids(first))
		require.EqualValues(t, 1, *first.Page)
		require.EqualValues(t, 10, first.Limit)
		require.EqualValues(t, 7, first.Total)
		require.False(t, first.TotalIsCapped)
		require.Nil(t, first.NextCursor, "there is nothing behind it")

		second := list(client.ListJobsParams{Page: new(int64(2)), Limit: new(client.Limit(3))})
		require.Equal(t, newestFirst[3:6], ids(second))
		require.EqualValues(t, 2, *second.Page)
		beyond := list(client.ListJobsParams{Page: new(int64(9))})
		require.Empty(t, beyond.Items)
		require.EqualValues(t, 7, beyond.Total)

		third := list(client.ListJobsParams{Cursor: second.NextCursor, Limit: new(client.Limit(3))})
		require.Equal(t, newestFirst[6:], ids(third), "a cursor goes on where a page ended")
		require.Nil(t, third.Page)
		require.Nil(t, third.NextCursor)

		var walked []uuid.UUID
		for p := list(client.ListJobsParams{Limit: new(client.Limit(2))}); ; {
			walked = append(walked, ids(p)...)
			if p.NextCursor == nil {
				break
			}
			p = list(client.ListJobsParams{Cursor: p.NextCursor, Limit: new(client.Limit(2))})
		}
		require.Equal(t, newestFirst, walked)

		onlyPaused := list(client.ListJobsParams{Status: &[]client.JobStatus{client.JobStatusPAUSED}})
		require.Equal(t, []uuid.UUID{paused}, ids(onlyPaused))
		require.EqualValues(t, 1, onlyPaused.Total)
	})
	t.Run("caps the total and refuses deep pages", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		insert := func(n int) {
			t.Helper()
			columns := testdb.Columns(t, db, "jobs")
			_, err := db.Exec(t.Context(), `
				with one as (select * from jobs limit 1), copy as (select many.* from one, generate_series(1, $1) as n, jsonb_populate_record(
					null::jobs, to_jsonb(one) || jsonb_build_object(
					'id', '00000000-0000-7000-8000-' || lpad(to_hex(n + (select count(*) from jobs)), 12, '0'))) as many)
				insert into jobs (`+columns+`)
				select `+columns+` from copy`, n)
			require.NoError(t, err)
		}
		list := func(p client.ListJobsParams) *client.ListJobsResponse {
			t.Helper()
			got, err := service.ListJobsWithResponse(t.Context(), &p)
			require.NoError(t, err)
			return got
		}

		service.createJob(t, "one-of-many", 60, `{}`)
		insert(9_999)
		got := list(client.ListJobsParams{Page: new(int64(100)), Limit: new(client.Limit(100))})
		require.EqualValues(t, 10_000, got.JSON200.Total)
		require.False(t, got.JSON200.TotalIsCapped, "10 000 is exact")
		require.Len(t, got.JSON200.Items, 100)

		insert(1)
		got = list(client.ListJobsParams{})
		require.EqualValues(t, 10_000, got.JSON200.Total)
		require.True(t, got.JSON200.TotalIsCapped)

		got = list(client.ListJobsParams{Page: new(int64(101)), Limit: new(client.Limit(100))})
		require.Equal(t, http.StatusBadRequest, got.StatusCode())
		require.Equal(t, "page", (*got.ApplicationproblemJSON400.Errors)[0].Field)
	})
	t.Run("of runs by cursor and status", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		job := service.createJob(t, "listed", 10, `null`)
		age(t, db, job.Id, 65*time.Second)
		for service.pass(t) > 0 {
		}

		all := service.listRuns(t, job.Id)
		require.Len(t, all, 6)
		for n := 1; n < len(all); n++ {
			require.Equal(t, all[n-1].ScheduledFor.Add(-10*time.Second), all[n].ScheduledFor)
		}

		var walked []client.Run
		for cursor := (*client.Cursor)(nil); ; {
			got, err := service.ListJobRunsWithResponse(t.Context(), job.Id,
				&client.ListJobRunsParams{Limit: new(client.Limit(4)), Cursor: cursor})
			require.NoError(t, err)
			walked = append(walked, got.JSON200.Items...)
			if cursor = got.JSON200.NextCursor; cursor == nil {
				break
			}
		}
		require.Equal(t, all, walked)

		failed, err := service.ListJobRunsWithResponse(t.Context(), job.Id,
			&client.ListJobRunsParams{Status: &client.RunStatuses{client.RunStatusFAILED}})
		require.NoError(t, err)
		require.Empty(t, failed.JSON200.Items)
	})
}

// The job fires once, and the rest is counted.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	service, db := setup(t)
	job := service.createJob(t, "was-away", 60, `null`)
	age(t, db, job.Id, 60*time.Minute+30*time.Second)
	due := *service.getJob(t, job.Id).NextRunAt

	require.Equal(t, 1, service.pass(t), "what it missed is stepped over")
	require.Equal(t, 1, service.pass(t), "the last is executed, once for all")
	require.Zero(t, service.pass(t))
	runs := service.listRuns(t, job.Id)
	require.Len(t, runs, 2)
	require.Equal(t, client.RunStatusSUCCEEDED, runs[0].Status)
	require.Equal(t, due.Add(59*time.Minute), runs[0].ScheduledFor)
	require.EqualValues(t, 1, runs[0].Occurrences)
	require.Equal(t, client.RunStatusSKIPPED, runs[1].Status)
	require.Equal(t, client.RunReasonMISFIRE, *runs[1].Reason)
	require.Equal(t, due, runs[1].ScheduledFor)
	require.EqualValues(t, 59, runs[1].Occurrences)
	require.Equal(t, due.Add(60*time.Minute), *service.getJob(t, job.Id).NextRunAt)
}

// No run fails because nobody has created the partition of its day.
func TestMissingPartition(t *testing.T) {
	t.Parallel()
	service, db := setup(t)
	_, err := db.Exec(t.Context(), `
		do $$ declare p regclass; begin
			for p in select inhrelid::regclass from pg_inherits where inhparent = 'runs'::regclass loop
				execute 'drop table ' || p;
			end loop;
		end $$`)
	require.NoError(t, err)
	job := service.createJob(t, "no-partition", 86_400, `null`)
	age(t, db, job.Id, 10*24*time.Hour)

	require.Equal(t, 1, service.pass(t))
	require.Equal(t, 1, service.pass(t))
	require.Len(t, service.listRuns(t, job.Id), 2)
	require.Equal(
		t,
		2,
		count(t, db, "select count(*) from pg_inherits where inhparent = 'runs'::regclass"),
		"one for each day that was needed",
	)
}
