package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// upcomingRuns lists when all jobs are due next.
func (i instance) upcomingRuns(t *testing.T, p client.ListUpcomingRunsParams) client.UpcomingRunList {
	t.Helper()
	got, err := i.ListUpcomingRunsWithResponse(t.Context(), &p)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
	return *got.JSON200
}

// The occurrences of all jobs are one list in the order of time: those of each job are what the job
// itself says, whatever its schedule.
func TestUpcomingRunsOfAllJobs(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.calendar(t, `{"key":"rest","weekdays":["SATURDAY","SUNDAY"]}`)
	bodies := []string{
		`"intervalInSeconds":3600`, `"intervalInSeconds":900,"maxRuns":3`, `"cron":"*/10 * * * *","timeZone":"Europe/Berlin","labels":{"team":"a"}`,
		`"cron":"H H * * *"`, `"cron":"15 * * * *","jitterSeconds":600`, `"cron":"5 * * * *","skipOn":["rest"],"onSkipped":"NEXT_DAY"`,
		`"rrule":"DTSTART:20260101T003000\nRRULE:FREQ=DAILY"`, `"runAt":"` + time.Now().Add(30*time.Minute).UTC().Format(time.RFC3339) + `"`,
		`"cron":"25 * * * *","target":{"type":"worker","queue":"q"}`, `"intervalInSeconds":7200,"endAt":"` + time.Now().Add(3*time.Hour).UTC().Format(time.RFC3339) + `"`,
		`"onDemand":true`, `"cron":"* * * * *","status":"PAUSED"`,
	}
	to := time.Now().Add(20 * time.Hour)
	want := map[uuid.UUID][]time.Time{}
	var labeled uuid.UUID
	total := 0
	for n, body := range bodies {
		isPaused := n == len(bodies)-1
		if isPaused {
			body = `"cron":"* * * * *"`
		}
		job := service.create(t, `{"name":"job",`+body+`}`)
		if isPaused {
			require.Equal(t, http.StatusOK, service.patch(t, job.Id, `{"status":"PAUSED"}`).StatusCode())
		}
		if job.Labels["team"] == "a" {
			labeled = job.Id
		}
		next, err := service.ListUpcomingWithResponse(t.Context(), job.Id, &client.ListUpcomingParams{Count: new(int32(100))})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, next.StatusCode())
		for _, o := range next.JSON200.Items {
			if o.ScheduledFor.Before(to) {
				want[job.Id] = append(want[job.Id], o.ScheduledFor)
				total++
			}
		}
	}
	require.Len(t, want[labeled], 100, "the job itself lists no more")
	delete(want, labeled)
	got := map[uuid.UUID][]time.Time{}
	all := service.upcomingRuns(t, client.ListUpcomingRunsParams{To: &to, Limit: new(int32(1000))})
	require.WithinDuration(t, to, all.CompleteUntil, time.Millisecond)
	last := time.Time{}
	for _, run := range all.Items {
		require.False(t, run.ScheduledFor.Before(last), "in the order of time")
		last = run.ScheduledFor
		if run.JobId != labeled {
			got[run.JobId] = append(got[run.JobId], run.ScheduledFor)
		}
	}
	require.Equal(t, want, got)

	few := service.upcomingRuns(t, client.ListUpcomingRunsParams{To: &to, Limit: new(int32(7))})
	require.Equal(t, all.Items[:7], few.Items)
	require.Equal(t, all.Items[7].ScheduledFor, few.CompleteUntil, "the next one is not in it")
	hour := service.upcomingRuns(t, client.ListUpcomingRunsParams{})
	require.WithinDuration(t, time.Now().Add(time.Hour), hour.CompleteUntil, time.Minute)
	selector := client.LabelSelector("team=a")
	some := service.upcomingRuns(t, client.ListUpcomingRunsParams{LabelSelector: &selector})
	require.Len(t, some.Items, 6)
	for _, run := range some.Items {
		require.Equal(t, labeled, run.JobId)
	}
	require.Empty(t, service.upcomingRuns(t, client.ListUpcomingRunsParams{To: new(time.Now().Add(-time.Hour))}).Items)

	tooFar, err := service.ListUpcomingRunsWithResponse(t.Context(), &client.ListUpcomingRunsParams{To: new(time.Now().Add(25 * time.Hour))})
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, tooFar.StatusCode())
	require.Contains(t, string(tooFar.Body), `"field":"to","in":"query"`)

	makeNamespace(t, pool, "red")
	require.Empty(t, service.in(t, "red").upcomingRuns(t, client.ListUpcomingRunsParams{To: &to}).Items, "nothing of another namespace")
}

// With more jobs than one page has, and with runs that execute, the list is as long as it can be.
func TestUpcomingRunsOfManyJobs(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.makeJobs(t, 600, "many", "")
	// They are due a second after each other, from a minute on, the first ten of them executing.
	_, err := pool.Exec(t.Context(), `
		with numbered as (
			select job_id, now() + interval '1 minute' + row_number() over (order by job_id) * interval '1 second' as at from due
		), moved as (
			update jobs j set anchor_at = n.at - interval '1 hour' from numbered n where n.job_id = j.id
		)
		update due d set scheduled_for = n.at, ready_at = n.at from numbered n where n.job_id = d.job_id`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		update due set scheduled_for = now() - interval '1 second', ready_at = now() - interval '1 second', attempt = 1, started_at = now()
		where job_id in (select job_id from due order by ready_at limit 10)`)
	require.NoError(t, err)
	for _, limit := range []int32{1, 3, 5, 30} {
		list := service.upcomingRuns(t, client.ListUpcomingRunsParams{To: new(time.Now().Add(2 * time.Minute)), Limit: &limit})
		require.LessOrEqual(t, len(list.Items), int(limit))
		for n, run := range list.Items {
			require.True(t, run.ScheduledFor.Before(list.CompleteUntil))
			require.True(t, n == 0 || !run.ScheduledFor.Before(list.Items[n-1].ScheduledFor))
		}
		if limit >= 5 {
			require.Len(t, list.Items, int(limit), "those that execute are passed over")
		}
	}
}
