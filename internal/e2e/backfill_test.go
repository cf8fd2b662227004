package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// backfill backfills a window, and returns the answer.
func (i instance) backfill(t *testing.T, job uuid.UUID, from, to time.Time) *client.BackfillJobResponse {
	t.Helper()
	got, err := i.BackfillJobWithResponse(t.Context(), job, nil, client.BackfillWindow{From: from, To: to})
	require.NoError(t, err)
	return got
}

// backfills backfills a window, and requires so many started runs and occurrences in it.
func (i instance) backfills(t *testing.T, job uuid.UUID, from, to time.Time, runs, occurrences int32) {
	t.Helper()
	got := i.backfill(t, job, from, to)
	require.Equal(t, http.StatusAccepted, got.StatusCode(), "%s", got.Body)
	require.Equal(t, client.Backfill{Runs: runs, Occurrences: occurrences}, *got.JSON202)
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	t.Run("runs the occurrences that were not run", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		day := time.Now().UTC().AddDate(0, 0, -3).Truncate(24 * time.Hour)
		job := service.create(t, `{"name":"daily","cron":"0 */6 * * *"}`)
		noon := day.Add(12 * time.Hour)
		service.backfills(t, job.Id, noon, noon, 1, 1)
		service.executes(t, 1)

		entries := count(t, pool, `select count(*) from audit`)
		planned, err := service.BackfillJobWithResponse(t.Context(), job.Id, nil, client.BackfillWindow{
			From: day, To: day.Add(24 * time.Hour), DryRun: new(true),
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, planned.StatusCode(), "planned: %s", planned.Body)
		require.Equal(t, client.Backfill{Runs: 4, Occurrences: 5, DryRun: true}, *planned.JSON200)
		require.Len(t, service.listRuns(t, job.Id), 1, "nothing was started")
		require.Equal(t, entries, count(t, pool, `select count(*) from audit`), "nor written to the audit")

		service.backfills(t, job.Id, day, day.Add(24*time.Hour), 4, 5) // both bounds are in it, and noon was run
		service.backfills(t, job.Id, day, day.Add(24*time.Hour), 0, 5)
		service.backfills(t, job.Id, day.Add(time.Second), day.Add(time.Hour), 0, 0)
		require.Len(t, service.listRuns(t, job.Id), 5)
		service.executes(t, 4)
		service.backfills(t, job.Id, day, day.Add(24*time.Hour), 0, 5)
		runs := service.listRuns(t, job.Id)
		require.Len(t, runs, 5)
		for n, run := range runs {
			require.Equal(t, day.Add(time.Duration(24-6*n)*time.Hour), run.ScheduledFor)
			require.Equal(t, client.RunTriggerBACKFILL, run.Trigger)
			require.Equal(t, client.RunStatusSUCCEEDED, run.Status)
			require.EqualValues(t, 1, run.Occurrences)
		}
		after := service.getJob(t, job.Id)
		require.Equal(t, job.NextRunAt, after.NextRunAt, "the schedule does not move")
		require.EqualValues(t, 5, after.RunCount)
		require.Equal(t, 1, count(t, pool, `select count(*) from due`))
	})
	// They are those that the schedule would have had.
	t.Run("has the occurrences of a clock change", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		job := service.create(t, `{"name":"nightly","cron":"30 2 * * *","timeZone":"Europe/Berlin"}`)
		at := func(text string) time.Time {
			instant, err := time.Parse(time.RFC3339, text)
			require.NoError(t, err)
			return instant
		}
		service.backfills(t, job.Id, at("2026-03-28T00:00:00Z"), at("2026-03-30T23:00:00Z"), 3, 3)
		var got []time.Time
		for _, run := range service.listRuns(t, job.Id) {
			got = append(got, run.ScheduledFor)
		}
		require.Equal(
			t,
			[]time.Time{at("2026-03-30T00:30:00Z").UTC(), at("2026-03-29T01:00:00Z").UTC(), at("2026-03-28T01:30:00Z").UTC()},
			got,
		)
		service.executes(t, 3)
	})
	t.Run("is refused", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.create(t, `{"name":"each-second","intervalInSeconds":1}`)
		age(t, pool, job.Id, time.Hour)
		now := time.Now()
		refuse := func(from, to time.Time, fields ...string) {
			t.Helper()
			got := service.backfill(t, job.Id, from, to)
			require.Equal(t, http.StatusBadRequest, got.StatusCode(), "%s", got.Body)
			var names []string
			for _, e := range *got.ApplicationproblemJSON400.Errors {
				names = append(names, e.Field)
			}
			require.Equal(t, fields, names)
		}
		refuse(now.Add(-time.Minute), now.Add(time.Hour), "to")
		refuse(now.Add(-time.Minute), now.Add(-2*time.Minute), "from", "to")
		refuse(time.Unix(0, 0).Add(-time.Second), time.Unix(0, 0), "from")
		refuse(now.Add(-1002*time.Second), now.Add(-time.Second), "from", "to")
		require.Equal(t, 1, count(t, pool, `select count(*) from due`))
		missing := service.backfill(t, uuid.Must(uuid.NewV7()), now.Add(-time.Minute), now)
		require.Equal(t, http.StatusNotFound, missing.StatusCode())
	})
	// The schedule comes to them by itself.
	t.Run("leaves missed occurrences to the schedule", func(t *testing.T) {
		t.Parallel()
		for _, policy := range []string{"SKIP", "BUFFER_ONE", "ALLOW_ALL"} {
			t.Run(policy, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.create(
					t,
					`{"name":"late","intervalInSeconds":60,"overlapPolicy":"`+policy+`","misfirePolicy":"FIRE_ALL"}`,
				)
				age(t, pool, job.Id, 10*time.Minute+time.Second)
				_, err := pool.Exec(t.Context(), // as if it had been made when the first five had passed
					`update due set scheduled_for = later(scheduled_for, interval '5 minutes'), ready_at = later(ready_at, interval '5 minutes')`)
				require.NoError(t, err)
				var now time.Time
				require.NoError(t, pool.QueryRow(t.Context(), `select now()`).Scan(&now))
				service.backfills(t, job.Id, now.Add(-time.Hour), now, 5, 10)
				service.executes(t, 10)
				runs := service.listRuns(t, job.Id)
				require.Len(t, runs, 10, "each ran once")
				for n, run := range runs {
					require.Equal(t, client.RunStatusSUCCEEDED, run.Status)
					require.Equal(t, runs[0].ScheduledFor.Add(-time.Duration(n)*time.Minute), run.ScheduledFor)
				}
				require.EqualValues(t, 10, service.getJob(t, job.Id).RunCount)
			})
		}
	})
	// However much is backfilled.
	t.Run("goes behind the runs that are due", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		due := service.due(t, pool, `,"target":{"type":"worker","queue":"q"}`)
		late := service.create(t, `{"name":"late","intervalInSeconds":1,"target":{"type":"worker","queue":"q"}}`)
		age(t, pool, late.Id, time.Hour)
		service.patch(t, late.Id, `{"status":"PAUSED"}`)
		now := time.Now().Add(-time.Minute)
		got := service.backfill(t, late.Id, now.Add(-15*time.Minute), now)
		require.Greater(t, got.JSON202.Runs, int32(800))
		require.Equal(t, due.Id, service.leaseOne(t, "q").JobId)
		require.Equal(t, late.Id, service.leaseOne(t, "q").JobId)
	})
	t.Run("is not canceled by a scheduled run", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.create(t, `{"name":"x","intervalInSeconds":60,"overlapPolicy":"CANCEL_OTHER"`+queued+`}`)
		age(t, pool, job.Id, 10*time.Minute)
		service.patch(t, job.Id, `{"status":"PAUSED"}`)
		service.patch(t, job.Id, `{"status":"ACTIVE"}`)
		from := job.CreatedAt.Add(-5 * time.Minute)
		service.backfills(t, job.Id, from, from, 1, 1)
		backfilled := service.leaseOne(t, "q")
		_, err := pool.Exec(t.Context(), `with j as (update jobs set anchor_at = later(anchor_at, -interval '1 minute'))
			update due set scheduled_for = later(scheduled_for, -interval '1 minute'), ready_at = later(ready_at, -interval '1 minute')
			where carries_schedule`)
		require.NoError(t, err)
		service.complete(t, service.leaseOne(t, "q"), "")
		require.Zero(t, count(t, pool, `select count(*) from due where cancel_reason is not null`))
		service.complete(t, backfilled, "")
		require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, backfilled.Id).Status)
		require.Equal(t, 2, count(t, pool, `select count(*) from runs where status = 'SUCCEEDED'`))
	})
}
