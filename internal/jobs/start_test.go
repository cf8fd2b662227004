package jobs_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/jobs"
	"punctual/internal/runs"
	"punctual/internal/testdb/enginetest"
)

const (
	skip        = db.OverlapPolicySKIP
	bufferOne   = db.OverlapPolicyBUFFERONE
	allowAll    = db.OverlapPolicyALLOWALL
	cancelOther = db.OverlapPolicyCANCELOTHER
)

// What becomes of a run that is started by hand while another executes, and of that other.
func TestStartRunWhileAnotherExecutes(t *testing.T) {
	t.Parallel()
	type fate struct{ skipped, waits, cancels bool }
	var (
		isSkipped = fate{skipped: true}
		itWaits   = fate{waits: true}
		atOnce    = fate{}
		instead   = fate{cancels: true}
	)
	for _, c := range []struct {
		of, by db.OverlapPolicy
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
			e := enginetest.New(t)
			before := e.Due(`,"overlapPolicy":"` + string(c.of) + `"`)
			job := before.Job.ID
			first := e.Begin()

			run := e.Start(job, c.by)
			id := enginetest.IDOf(run)
			executed := 2
			switch {
			case c.skipped:
				executed = 1
				require.Equal(t, "SKIPPED", run.Status)
				require.Equal(t, db.RunReasonOVERLAP, *run.Reason)
				e.Execute(0)
			case c.waits:
				require.Equal(t, "PENDING", run.Status)
				e.Execute(0)
			default:
				e.Execute(1)
				require.Equal(t, "SUCCEEDED", e.Run(id).Status)
			}
			canceled := e.Count(`select count(*) from due where cancel_reason = 'OVERLAP'`)
			require.Equal(t, c.cancels, canceled == 1, "whether the other is canceled")
			if c.cancels {
				e.End(first, runs.Canceled{Reason: db.RunReasonOVERLAP})
				require.Equal(t, "CANCELED", e.Run(first.RunID()).Status)
			} else {
				e.End(first, nil)
				require.Equal(t, "SUCCEEDED", e.Run(first.RunID()).Status)
			}
			if c.waits {
				e.Execute(1)
				require.Equal(t, "SUCCEEDED", e.Run(id).Status)
			}
			require.Len(t, e.Runs(job), 2, "the two, and nothing skipped")
			after := e.Job(job)
			require.WithinDuration(t, before.NextRunAt.Add(time.Minute), *after.NextRunAt, 0,
				"the schedule goes on at its own instants")
			require.EqualValues(t, executed, after.RunCount)
			require.Equal(t, 1, e.Count(`select count(*) from due`))
		})
	}
}

func TestStartRun(t *testing.T) {
	t.Parallel()
	// The new run carries the schedule on, so that what is due while it executes does not overlap
	// it.
	t.Run("takes the schedule's place", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		before := e.Due(``)
		job := before.Job.ID
		first := e.Begin()
		e.Start(job, bufferOne)
		run := e.Start(job, cancelOther)
		second := e.Begin()
		e.End(first, runs.Canceled{Reason: db.RunReasonOVERLAP})
		require.Equal(t, 1, e.Count(`select count(*) from due`), "only the run that executes is left")
		require.Equal(t, "SKIPPED", e.Start(job, "").Status)
		e.End(second, nil)
		require.Equal(t, "SUCCEEDED", e.Run(enginetest.IDOf(run)).Status)
		require.WithinDuration(t, before.NextRunAt.Add(time.Minute), *e.Job(job).NextRunAt, 0)
		require.Equal(t, 2, e.Count(`select count(*) from runs where status = 'CANCELED' and reason = 'OVERLAP'`),
			"the first, and the one that waited for it")
	})
	t.Run("lets only one run wait", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"overlapPolicy":"BUFFER_ONE"`).Job.ID
		first := e.Begin()
		waits, skipped := e.Start(job, ""), e.Start(job, "")
		require.Equal(t, "PENDING", waits.Status)
		require.Equal(t, "SKIPPED", skipped.Status)
		e.End(first, nil)
		e.Execute(1)
		require.Equal(t, "SUCCEEDED", e.Run(enginetest.IDOf(waits)).Status)
	})
	// A run that was claimed a moment ahead of its instant is open for a start: the new run comes
	// after it, and the schedule does not come back to it.
	for _, policy := range []db.OverlapPolicy{bufferOne, cancelOther} {
		t.Run("comes after a run that is claimed ahead, "+string(policy), func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Create(`{"name":"claimed-ahead","intervalInSeconds":60}`).Job.ID
			e.Age(job, 55*time.Second)
			row := e.ClaimOne()
			run := e.Start(job, policy)
			require.True(t, run.ScheduledFor.After(row.Claimed.ScheduledFor), "it is after the claimed run")
			row.ReadAt = row.Claimed.StartedAt // its end
			e.Succeed(row)
			e.Age(job, 6*time.Second)
			e.Execute(1)
			next := row.Claimed.ScheduledFor.Add(time.Minute - 6*time.Second)
			require.WithinDuration(t, next, *e.Job(job).NextRunAt, 0)
			require.EqualValues(t, 2, e.Job(job).RunCount)
		})
	}
	// Occurrences that came due behind the canceled run are recorded, whether that run executes or
	// was only due.
	for _, executes := range []bool{false, true} {
		t.Run("records what a canceled run held up, executes: "+strconv.FormatBool(executes), func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Create(`{"name":"late","intervalInSeconds":60,"misfirePolicy":"FIRE_ALL"}`).Job.ID
			e.Age(job, 4*time.Minute+30*time.Second)
			due := *e.Job(job).NextRunAt
			if executes {
				e.ClaimOne()
			}
			e.Start(job, cancelOther)
			runs := e.Runs(job)
			require.Len(t, runs, 3, "the new run, the other one, and what came due behind that")
			require.WithinDuration(t, due.Add(time.Minute), runs[1].ScheduledFor, 0)
			require.Equal(t, "SKIPPED", runs[1].Status)
			require.Equal(t, db.RunReasonOVERLAP, *runs[1].Reason)
			require.EqualValues(t, 3, runs[1].Occurrences)
		})
	}
}

// A run is counted when it has ended, also if the schedule goes on without it.
func TestRunCount(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(e *enginetest.Engine, job uuid.UUID){
		"the schedule goes on": func(*enginetest.Engine, uuid.UUID) {},
		"the job is paused":    func(e *enginetest.Engine, job uuid.UUID) { e.Edit(job, `{"status":"PAUSED"}`) },
		"another replaces it":  func(e *enginetest.Engine, job uuid.UUID) { e.Start(job, cancelOther) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Due(`,"overlapPolicy":"ALLOW_ALL"`).Job.ID
			run := e.Begin()
			meanwhile(e, job)
			require.Zero(t, e.Job(job).RunCount, "it executes")
			page, err := e.Jobs.List(t.Context(), enginetest.By, jobs.List{Max: 10})
			require.NoError(t, err)
			require.Len(t, page.Jobs, 1)
			require.Zero(t, page.Jobs[0].RunCount, "it executes")
			e.End(run, nil)
			require.EqualValues(t, 1, e.Job(job).RunCount)
		})
	}
}

// A run that was to follow one claimed ahead of its instant, and was canceled, keeps its instant.
// The next run started by hand gets another one.
func TestStartRunAfterACanceledOne(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(`{"name":"often","intervalInSeconds":60}`).Job.ID
	require.Len(t, e.ClaimUnder(e.NewLease(), time.Hour), 1)

	first := e.Start(job, bufferOne)
	require.Equal(t, "CANCELED", e.Cancel(enginetest.IDOf(first)).Status)
	second := e.Start(job, bufferOne)
	require.NotEqual(t, enginetest.IDOf(first), enginetest.IDOf(second))
	require.Equal(t, "PENDING", second.Status)
	require.Equal(t, "CANCELED", e.Run(enginetest.IDOf(first)).Status)
}
