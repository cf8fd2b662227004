package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/gen/db"
	"punctual/internal/runs"
)

const (
	skip        = client.OverlapPolicyOverrideSKIP
	bufferOne   = client.OverlapPolicyOverrideBUFFERONE
	allowAll    = client.OverlapPolicyOverrideALLOWALL
	cancelOther = client.OverlapPolicyOverrideCANCELOTHER
)

// A run by hand is executed whatever its job's status is, which stays, as the schedule does.
func TestRunByHandOfAnIdleJob(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, instance, uuid.UUID){
		"active": func(*testing.T, instance, uuid.UUID) {},
		"paused": func(t *testing.T, service instance, job uuid.UUID) {
			t.Helper()
			service.patch(t, job, `{"status":"PAUSED"}`)
		},
		"completed": func(t *testing.T, service instance, job uuid.UUID) {
			t.Helper()
			service.patch(t, job, `{"maxRuns":2}`)
			service.startRun(t, job, "")
			service.executes(t, 1)
			require.Equal(t, client.JobStatusCOMPLETED, service.getJob(t, job).Status)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.due(t, pool, ``)
			service.executes(t, 1)
			prepare(t, service, job.Id)
			before := service.getJob(t, job.Id)

			run := service.startRun(t, job.Id, "")
			require.Equal(t, client.RunStatusPENDING, run.Status)
			require.Equal(t, client.RunTriggerMANUAL, run.Trigger)
			require.Equal(t, run, service.readRun(t, run.Id), "what is read is what starting it answered")
			require.Equal(t, run, service.listRuns(t, job.Id)[0])
			service.executes(t, 1)
			ended := service.readRun(t, run.Id)
			require.Equal(t, client.RunStatusSUCCEEDED, ended.Status)
			require.Equal(t, client.RunTriggerMANUAL, ended.Trigger)

			after := service.getJob(t, job.Id)
			require.Equal(t, before.Status, after.Status)
			require.Equal(t, before.NextRunAt, after.NextRunAt, "the schedule does not move")
			require.Equal(t, before.RunCount+1, after.RunCount)
			require.Equal(t, ended.StartedAt, after.LastRunAt)
		})
	}
}

// What becomes of a run that is started by hand while another executes, and of that other.
func TestRunByHandWhileAnotherExecutes(t *testing.T) {
	t.Parallel()
	type fate struct{ skipped, waits, cancels bool }
	var (
		isSkipped = fate{skipped: true}
		itWaits   = fate{waits: true}
		atOnce    = fate{}
		instead   = fate{cancels: true}
	)
	for _, c := range []struct {
		of, by client.OverlapPolicyOverride
		fate
	}{
		{skip, "", isSkipped},
		{bufferOne, "", itWaits},
		{allowAll, "", atOnce},
		{cancelOther, "", instead},
		{skip, bufferOne, itWaits},
		{skip, allowAll, atOnce},
		{skip, cancelOther, instead},
		{bufferOne, skip, isSkipped},
		{bufferOne, cancelOther, instead},
		{allowAll, skip, isSkipped},
		{allowAll, bufferOne, itWaits},
		{allowAll, cancelOther, instead},
		{cancelOther, allowAll, atOnce},
	} {
		t.Run(string(c.of+" by "+c.by), func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.due(t, pool, `,"overlapPolicy":"`+string(c.of)+`"`)
			first := begin(t, pool)

			run := service.startRun(t, job.Id, c.by)
			executed := 2
			switch {
			case c.skipped:
				executed = 1
				require.Equal(t, client.RunStatusSKIPPED, run.Status)
				require.Equal(t, client.RunReasonOVERLAP, *run.Reason)
				require.Zero(t, service.pass(t))
			case c.waits:
				require.Equal(t, client.RunStatusPENDING, run.Status)
				require.Zero(t, service.pass(t), "it waits")
			default:
				service.executes(t, 1)
				require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)
			}
			require.Equal(t, c.cancels, count(t, pool, `select count(*) from due where cancel_reason = 'OVERLAP'`) == 1, "whether the other is told to end")
			if c.cancels {
				end(t, pool, first, runs.Canceled{Reason: db.RunReasonOVERLAP})
				require.Equal(t, client.RunStatusCANCELED, service.readRun(t, first.RunID()).Status)
			} else {
				end(t, pool, first, nil)
				require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, first.RunID()).Status)
			}
			if c.waits {
				service.executes(t, 1)
				require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)
			}
			require.Len(t, service.listRuns(t, job.Id), 2, "the two, and nothing passed over")
			after := service.getJob(t, job.Id)
			require.Equal(t, job.NextRunAt.Add(time.Minute), *after.NextRunAt, "the schedule goes on at its own instants")
			require.EqualValues(t, executed, after.RunCount)
			require.Equal(t, 1, count(t, pool, `select count(*) from due`))
		})
	}
}

// The run that takes another's place carries the schedule on, so what is due while it executes does not overlap with it.
func TestTheScheduleGoesOnBehindTheRunThatTookAnothersPlace(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, ``)
	first := begin(t, pool)
	service.startRun(t, job.Id, bufferOne)
	run := service.startRun(t, job.Id, cancelOther)
	second := begin(t, pool)
	end(t, pool, first, runs.Canceled{Reason: db.RunReasonOVERLAP})
	require.Equal(t, 1, count(t, pool, `select count(*) from due`), "only the run that executes is left")
	skipped := service.startRun(t, job.Id, "")
	require.Equal(t, client.RunStatusSKIPPED, skipped.Status)
	end(t, pool, second, nil)
	require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)
	require.Equal(t, job.NextRunAt.Add(time.Minute), *service.getJob(t, job.Id).NextRunAt)
	require.Equal(t, 2, count(t, pool, `select count(*) from runs where status = 'CANCELED' and reason = 'OVERLAP'`), "the first, and what waited for it")
}

// What nobody executes yet is open all the same: a run that is due already is not overlapped.
func TestRunByHandWhileAnotherIsDue(t *testing.T) {
	t.Parallel()
	for policy, want := range map[client.OverlapPolicyOverride][]client.RunStatus{
		skip:        {client.RunStatusSKIPPED, client.RunStatusSUCCEEDED},
		bufferOne:   {client.RunStatusSUCCEEDED, client.RunStatusSUCCEEDED},
		cancelOther: {client.RunStatusSUCCEEDED, client.RunStatusCANCELED},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.due(t, pool, ``)
			service.startRun(t, job.Id, policy)
			require.Eventually(t, func() bool {
				service.pass(t)
				return count(t, pool, `select count(*) from runs`) == 2
			}, 10*time.Second, 5*time.Millisecond, "both end")
			runs := service.listRuns(t, job.Id)
			require.Equal(t, want, []client.RunStatus{runs[0].Status, runs[1].Status})
			require.Equal(t, job.NextRunAt.Add(time.Minute), *service.getJob(t, job.Id).NextRunAt)
			require.Equal(t, 1, count(t, pool, `select count(*) from due`))
		})
	}
}

func TestOnlyOneRunWaitsForAnother(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, `,"overlapPolicy":"BUFFER_ONE"`)
	first := begin(t, pool)
	waits, skipped := service.startRun(t, job.Id, ""), service.startRun(t, job.Id, "")
	require.Equal(t, client.RunStatusPENDING, waits.Status)
	require.Equal(t, client.RunStatusSKIPPED, skipped.Status)
	end(t, pool, first, nil)
	service.executes(t, 1)
	require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, waits.Id).Status)
}

// What is claimed a moment ahead of its instant has begun as far as a run by hand goes: what waits for it comes after it, and
// the schedule does not come back to it.
func TestRunByHandWaitsForWhatIsClaimedAhead(t *testing.T) {
	t.Parallel()
	for _, policy := range []client.OverlapPolicyOverride{bufferOne, cancelOther} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.createJob(t, "claimed-ahead", 60, `null`)
			age(t, pool, job.Id, 55*time.Second)
			row := claimOne(t, pool, job.Id)
			run := service.startRun(t, job.Id, policy)
			require.True(t, run.ScheduledFor.After(row.Claimed.ScheduledFor), "it is after what is claimed")
			row.ReadAt = row.Claimed.StartedAt // its end
			require.True(t, complete(t, pool, row))
			age(t, pool, job.Id, 6*time.Second)
			service.executes(t, 1)
			require.Equal(t, row.Claimed.ScheduledFor.Add(time.Minute-6*time.Second).UTC(), *service.getJob(t, job.Id).NextRunAt)
			require.EqualValues(t, 2, service.getJob(t, job.Id).RunCount)
		})
	}
}

// What executes beside the schedule is counted when it has ended, like what executes on it.
func TestRunsAreCountedWhenTheyHaveEnded(t *testing.T) {
	t.Parallel()
	for name, begins := range map[string]func(t *testing.T, service instance, job client.Job){
		"goes on beside it": func(*testing.T, instance, client.Job) {},
		"paused": func(t *testing.T, service instance, job client.Job) {
			t.Helper()
			service.patch(t, job.Id, `{"status":"PAUSED"}`)
		},
		"replaced by hand": func(t *testing.T, service instance, job client.Job) {
			t.Helper()
			service.startRun(t, job.Id, cancelOther)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.due(t, pool, `,"overlapPolicy":"ALLOW_ALL"`)
			run := begin(t, pool)
			begins(t, service, job)
			require.Zero(t, service.getJob(t, job.Id).RunCount, "it executes")
			page, err := service.ListJobsWithResponse(t.Context(), nil)
			require.NoError(t, err)
			require.Zero(t, page.JSON200.Items[0].RunCount, "it executes")
			end(t, pool, run, nil)
			require.EqualValues(t, 1, service.getJob(t, job.Id).RunCount)
		})
	}
}

func TestRunByHandCountsAsOneOfMaxRuns(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.create(t, `{"name":"x","intervalInSeconds":60,"maxRuns":1,"deleteAfterCompletion":true}`)
	run := service.startRun(t, job.Id, "")
	service.executes(t, 1)
	gone, err := service.GetJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, gone.StatusCode(), "it has completed, and was deleted then")
	require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)

	again, err := service.RunJobWithResponse(t.Context(), job.Id, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, again.StatusCode())
}

// What came due behind the run that is told to end is counted, whether that executes or was only due.
func TestARunThatTakesAnothersPlaceDropsNothingInSilence(t *testing.T) {
	t.Parallel()
	for _, executes := range []bool{false, true} {
		service, pool := setup(t)
		job := service.create(t, `{"name":"late","intervalInSeconds":60,"misfirePolicy":"FIRE_ALL"}`)
		age(t, pool, job.Id, 4*time.Minute+30*time.Second)
		job = service.getJob(t, job.Id)
		if executes {
			claimOne(t, pool, job.Id)
		}
		service.startRun(t, job.Id, cancelOther)
		runs := service.listRuns(t, job.Id)
		require.Len(t, runs, 3, "the run by hand, the other one, and what came due behind that")
		require.Equal(t, job.NextRunAt.Add(time.Minute), runs[1].ScheduledFor)
		require.Equal(t, client.RunStatusSKIPPED, runs[1].Status)
		require.Equal(t, client.RunReasonOVERLAP, *runs[1].Reason)
		require.EqualValues(t, 3, runs[1].Occurrences)
	}
}

// Nobody is left who would execute it.
func TestDeletingEndsWhatWaitsBehindAWorkersRun(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"x","intervalInSeconds":60,"target":{"type":"worker","queue":"nobody"}}`)
	service.patch(t, job.Id, `{"status":"PAUSED"}`)
	first, second := service.startRun(t, job.Id, ""), service.startRun(t, job.Id, bufferOne)
	deleted, err := service.DeleteJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	service.executes(t, 1)
	require.Zero(t, count(t, pool, `select count(*) from due`))
	for _, run := range []client.Run{first, second} {
		require.Equal(t, client.RunReasonJOBDELETED, *service.readRun(t, run.Id).Reason)
	}
}
