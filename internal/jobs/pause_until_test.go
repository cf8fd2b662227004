package jobs

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

const until2100 = `"pauseUntil":"2100-01-01T00:00:00Z"`

func TestPauseUntilIsChecked(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, c := range map[string]struct {
		status, change string
		want           Code
	}{
		"an active job":            {`ACTIVE`, `{` + until2100 + `}`, Conflicting},
		"a job that is resumed":    {`PAUSED`, `{"status":"ACTIVE",` + until2100 + `}`, Conflicting},
		"the past, as it is begun": {`ACTIVE`, `{"status":"PAUSED","pauseUntil":"2020-01-01T00:00:00Z"}`, InThePast},
		"the past, later":          {`PAUSED`, `{"pauseUntil":"2020-01-01T00:00:00Z"}`, InThePast},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := f.create(`{"name":"x","intervalInSeconds":60}`)
			f.update(job.Job.ID, `{"status":"`+c.status+`"}`)
			_, err := f.Update(t.Context(), me, job.Job.ID, decode(t, c.change))
			requireInvalid(t, err, map[string]Code{"pauseUntil": c.want})
		})
	}
}

// Whatever decides about the pause anew decides about its end, too.
func TestPauseUntilEndsWithThePause(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, c := range map[string]struct {
		change  string
		stays   bool
		version int32
	}{
		"paused again":            {`{"status":"PAUSED"}`, false, 3},
		"resumed":                 {`{"status":"ACTIVE"}`, false, 3},
		"the end is taken off":    {`{"pauseUntil":null}`, false, 3},
		"another end":             {`{"pauseUntil":"2200-01-01T00:00:00Z"}`, true, 3},
		"the same end":            {`{` + until2100 + `}`, true, 2},
		"something else":          {`{"name":"y"}`, true, 3},
		"paused again, until one": {`{"status":"PAUSED","pauseUntil":"2200-01-01T00:00:00Z"}`, true, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := f.create(`{"name":"x","intervalInSeconds":60}`)
			f.update(job.Job.ID, `{"status":"PAUSED",`+until2100+`}`)
			after := f.update(job.Job.ID, c.change).Job
			require.Equal(t, c.stays, after.PauseUntil != nil)
			require.Equal(t, c.version, after.Version, "each change is a version")
		})
	}
	job := f.create(`{"name":"x","intervalInSeconds":60}`)
	f.update(job.Job.ID, `{"status":"PAUSED",`+until2100+`}`)
	require.NoError(t, f.Delete(t.Context(), me, job.Job.ID))
	require.Equal(t, 1, f.count(`select count(*) from jobs where deleted_at is not null and pause_until is null`))
}

// pausedUntil pauses a job which is due each minute for an hour, until some minutes after its
// anchor: before now, as if nobody had resumed it then. The anchor is an hour and half a minute
// ago.
func (f fixture) pausedUntil(minutes int, more string) View {
	f.t.Helper()
	job := f.create(`{"name":"each minute","intervalInSeconds":60` + more + `}`)
	f.update(job.Job.ID, paused)
	f.pausedFor(job.Job.ID, time.Hour+30*time.Second)
	f.exec(`update jobs set pause_until = anchor_at + $2::int * interval '1 minute' where id = $1`, job.Job.ID, minutes)
	view, err := f.Get(f.t.Context(), me, job.Job.ID)
	require.NoError(f.t, err)
	return view
}

// The first occurrence that is not before the end of the pause is executed, however late the job is
// resumed. Those before it are counted once.
func TestEndedPausesAreResumed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		minutes int
		meanwhile,
		more string
		next int // in minutes after the anchor
		want []skip
	}{
		"at an occurrence, a minute ago": {60, "", "", 60, []skip{{"JOB_PAUSED", "holidays", 59}}},
		"half an hour ago":               {30, "", "", 30, []skip{{"JOB_PAUSED", "holidays", 29}}},
		"at once":                        {1, "", "", 1, nil},
		"nothing was backfilled since":   {30, "", "", 30, []skip{{"JOB_PAUSED", "holidays", 29}}},
		"some was backfilled since": {
			30, `insert into runs (job_id, scheduled_for, started_at, finished_at, status, trigger, attempt, occurrences)
				select id, anchor_at + interval '40 minutes', now(), now(), 'SUCCEEDED', 'BACKFILL', 1, 1 from jobs`, "", 41,
			[]skip{{"JOB_PAUSED", "holidays", 39}},
		},
		"some that was backfilled since waits": {
			30, `insert into due (job_id, scheduled_for, ready_at, carries_schedule, run_count, trigger)
				select id, anchor_at + interval '40 minutes', now(), false, -1, 'BACKFILL' from jobs`, "", 41,
			[]skip{{"JOB_PAUSED", "holidays", 39}},
		},
		"a run by hand executes, which has overtaken": {
			30, `insert into due (job_id, scheduled_for, ready_at, carries_schedule, run_count, trigger, lease_id, token, attempt, started_at)
				select id, anchor_at + interval '40 minutes', now(), false, -1, 'MANUAL', gen_random_uuid(), 1, 1, now() from jobs`, "", 0,
			[]skip{{"JOB_PAUSED", "holidays", 40}},
		},
		"a run by hand executes, which the schedule does not wait for": {
			30, `insert into due (job_id, scheduled_for, ready_at, carries_schedule, run_count, trigger, lease_id, token, attempt, started_at)
				select id, anchor_at + interval '40 minutes', now(), false, -1, 'MANUAL', gen_random_uuid(), 1, 1, now() from jobs`,
			`,"overlapPolicy":"ALLOW_ALL"`, 30,
			[]skip{{"JOB_PAUSED", "holidays", 29}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			job := f.pausedUntil(c.minutes, c.more)
			if c.meanwhile != "" {
				f.exec(`select create_runs_partition((now() at time zone 'UTC' - interval '1 hour')::date),
					create_runs_partition((now() at time zone 'UTC')::date)`)
				f.exec(c.meanwhile)
			}
			changed, next, err := f.EndPauses(t.Context(), time.Minute)
			require.NoError(t, err)
			require.EqualValues(t, 1, changed)
			require.Equal(t, time.Minute, next, "no other pause ends")
			after, err := f.Get(t.Context(), me, job.Job.ID)
			require.NoError(t, err)
			require.Equal(t, db.JobStatusACTIVE, after.Job.Status)
			require.Nil(t, after.Job.StatusReason)
			require.Nil(t, after.Job.PauseUntil)
			require.Equal(t, job.Job.Version, after.Job.Version, "the service makes no version")
			require.Equal(t, c.want, f.skips(job.Job.ID))
			if c.next > 0 {
				require.Equal(t, job.Job.AnchorAt.Add(time.Duration(c.next)*time.Minute), *after.scheduledFor)
			}
			require.Equal(t, 1, f.count(`select count(*) from due where carries_schedule`))
			require.Equal(t, 1, f.count(`select count(*) from audit where operation = 'resumeJob' and actor = 'system'
				and result ->> 'pauseUntil' is not null`), "the audit says why")
			changed, _, err = f.EndPauses(t.Context(), time.Minute)
			require.NoError(t, err)
			require.Zero(t, changed, "nothing is left to do")
		})
	}
}

// Somebody who resumes a job by hand after the end of its pause gets what the service would do.
func TestResumeByHandAfterTheEndOfAPause(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.pausedUntil(60, "")
	after := f.update(job.Job.ID, `{"status":"ACTIVE"}`)
	require.Equal(t, job.Job.AnchorAt.Add(time.Hour), *after.scheduledFor)
	require.Equal(t, []skip{{"JOB_PAUSED", "holidays", 59}}, f.skips(job.Job.ID))
}

// One instant that passed after the end of the pause is executed; one that passed before it is
// skipped, and the job is completed.
func TestOneInstantDuringAPauseThatEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		until  string
		status db.JobStatus
		want   []skip
	}{
		"after the end":  {"10 minutes", db.JobStatusACTIVE, nil},
		"at the end":     {"5 minutes", db.JobStatusACTIVE, nil},
		"before the end": {"2 minutes", db.JobStatusCOMPLETED, []skip{{"JOB_PAUSED", "holidays", 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			job := f.create(`{"name":"once","runAt":"2100-01-01T00:00:00Z"}`)
			f.update(job.Job.ID, paused)
			f.exec(`update jobs set run_at = now() - interval '5 minutes', pause_until = now() - $1::interval,
				paused_since = now() - interval '1 hour'`, c.until)
			f.exec(`update jobs set pause_until = run_at where pause_until - run_at between '-1 second' and '1 second'`)
			_, _, err := f.EndPauses(t.Context(), time.Minute)
			require.NoError(t, err)
			after, err := f.Get(t.Context(), me, job.Job.ID)
			require.NoError(t, err)
			require.Equal(t, c.status, after.Job.Status)
			require.Equal(t, c.want, f.skips(job.Job.ID))
			if c.status == db.JobStatusACTIVE {
				require.Equal(t, *after.Job.RunAt, *after.scheduledFor)
			}
		})
	}
}

// Instances that end pauses at once resume each job once, and those whose pause ends later wait.
func TestPausesEndOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	other := setupOn(t, f.Pool)
	const jobs = 250 // more than a page
	for i := range jobs {
		job := f.create(fmt.Sprintf(`{"name":"%d","intervalInSeconds":3600}`, i))
		f.update(job.Job.ID, `{"status":"PAUSED",`+until2100+`}`)
	}
	later := f.create(`{"name":"later","intervalInSeconds":3600}`)
	f.update(later.Job.ID, `{"status":"PAUSED",`+until2100+`}`)
	f.exec(`update jobs set pause_until = case when name = 'later' then now() + interval '30 seconds' else now() end`)
	var both sync.WaitGroup
	for _, service := range []fixture{f, other} {
		both.Go(func() {
			_, next, err := service.EndPauses(t.Context(), time.Minute)
			if err != nil || next > 30*time.Second || next < 20*time.Second {
				t.Errorf("the next pause ends in %s, error %v", next, err)
			}
		})
	}
	both.Wait()
	require.Equal(t, jobs, f.count(`select count(*) from audit where operation = 'resumeJob'`))
	require.Equal(t, jobs, f.count(`select count(*) from jobs where status = 'ACTIVE'`))
}

// A pause that ends in a suspended namespace lasts as long as the suspension.
func TestPauseThatEndsInASuspendedNamespace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.pausedUntil(30, "")
	f.exec(`update namespaces set suspended_at = now()`)
	_, _, err := f.EndPauses(t.Context(), time.Minute)
	require.NoError(t, err)
	after, err := f.Get(t.Context(), me, job.Job.ID)
	require.NoError(t, err)
	require.Equal(t, db.JobStatusPAUSED, after.Job.Status)
	require.Equal(t, suspendedReason, *after.Job.StatusReason)
	changed, _, err := f.EndPauses(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Zero(t, changed, "it is not looked at again")
	f.exec(`update namespaces set suspended_at = null`)
	_, err = f.FollowNamespaces(t.Context())
	require.NoError(t, err)
	after, err = f.Get(t.Context(), me, job.Job.ID)
	require.NoError(t, err)
	require.Equal(t, db.JobStatusACTIVE, after.Job.Status)
	require.Equal(t, []skip{{"JOB_PAUSED", suspendedReason, 60}}, f.skips(job.Job.ID), "all of them, once")
}
