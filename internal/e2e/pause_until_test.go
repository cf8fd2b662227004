package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// accounted are the occurrences of a job, each second, that its runs stand for: those that were
// executed, and those that were skipped because it was paused.
type accounted struct {
	executed []time.Time
	skipped  int64
}

// account waits until a job has executed some occurrences since an instant, and accounts for all.
func (i instance) account(t *testing.T, job uuid.UUID, since time.Time, executed int) (all accounted) {
	t.Helper()
	require.Eventually(t, func() bool {
		all = accounted{}
		later := 0
		for _, run := range i.listRuns(t, job) {
			switch run.Status {
			case client.RunStatusSUCCEEDED:
				all.executed = append(all.executed, run.ScheduledFor)
				if !run.ScheduledFor.Before(since) {
					later++
				}
			case client.RunStatusSKIPPED:
				require.Equal(t, client.RunReasonJOBPAUSED, *run.Reason)
				all.skipped += run.Occurrences
			default: // it has not ended
			}
		}
		return later >= executed
	}, 20*time.Second, 50*time.Millisecond, "the job goes on by itself")
	slices.SortFunc(all.executed, time.Time.Compare)
	return all
}

// requireComplete checks that each second from one to the last run is accounted for once.
func (a accounted) requireComplete(t *testing.T, first time.Time) {
	t.Helper()
	last := a.executed[len(a.executed)-1]
	require.EqualValues(t, last.Sub(first)/time.Second+1, int64(len(a.executed))+a.skipped, "%+v", a)
}

// Two instances resume a job when its pause ends: once, with the first occurrence from there on,
// which is the very end here.
func TestPausedJobsGoOnByThemselves(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	config := app.Config{Database: app.DatabaseConfig{URL: url}, PollInterval: time.Minute}
	one, _ := start(t, config), start(t, config)
	pool := connect(t, url)
	for name, schedule := range map[string]string{"cron": `"cron":"* * * * * *"`, "interval": `"intervalInSeconds":1`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := one.create(t, `{"name":"each second",`+schedule+`}`)
			one.account(t, job.Id, time.Time{}, 1)
			until := one.listRuns(t, job.Id)[0].ScheduledFor.Add(4 * time.Second)
			paused := one.patch(t, job.Id, fmt.Sprintf(`{"status":"PAUSED","pauseUntil":%q}`, until.Format(time.RFC3339Nano))).JSON200
			require.True(t, paused.PauseUntil.Equal(until))
			all := one.account(t, job.Id, until, 3)
			all.requireComplete(t, all.executed[0])
			require.Contains(t, all.executed, until, "the occurrence at the end of the pause")
			require.LessOrEqual(t, all.skipped, int64(3), "those before it, since the pause began")
			for _, run := range one.listRuns(t, job.Id) {
				if run.ScheduledFor.Equal(until) {
					require.Less(t, run.StartedAt.Sub(until), 5*time.Second, "it starts in time")
				}
			}
			require.Equal(t, 1, count(t, pool, `select count(*) from audit where operation = 'resumeJob' and resource_id = '`+job.Id.String()+`'`))
			after := one.getJob(t, job.Id)
			require.Equal(t, client.JobStatusACTIVE, after.Status)
			require.Nil(t, after.PauseUntil)
		})
	}
}

// What came due after the end of a pause while nothing ran is up to the misfire policy, as it is
// for a job that was active.
func TestPauseThatEndsDuringAnOutage(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	api := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	job := api.create(t, `{"name":"each second","intervalInSeconds":1,"misfirePolicy":"FIRE_ALL"}`)
	anchor := job.NextRunAt.Add(-time.Second)
	until := anchor.Add(3 * time.Second)
	api.patch(t, job.Id, fmt.Sprintf(`{"status":"PAUSED","pauseUntil":%q}`, until.Format(time.RFC3339Nano)))
	require.NoError(t, api.stop())
	require.Eventually(t, func() bool { return time.Since(until) > 2*time.Second }, 10*time.Second, 10*time.Millisecond)

	service := start(t, app.Config{Database: app.DatabaseConfig{URL: url}})
	all := service.account(t, job.Id, until, 4)
	all.requireComplete(t, anchor.Add(time.Second))
	require.Equal(t, until, all.executed[0], "each one from the end on is executed")
	require.EqualValues(t, 2, all.skipped, "and none before")
}
