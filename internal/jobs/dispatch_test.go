package jobs_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/testdb/enginetest"
)

// drive executes runs, and starts those of events, until nothing is left to do.
func drive(e *enginetest.Engine) {
	for n := -1; n != 0; {
		e.StartByEvents()
		n = e.Pass()
	}
}

// fail starts a run of a job by hand, and lets it fail.
func fail(e *enginetest.Engine, job uuid.UUID) uuid.UUID {
	run := e.Start(job, db.OverlapPolicyALLOWALL)
	e.End(e.Begin(), errNoLuck)
	return enginetest.IDOf(run)
}

// payloadsOf returns the payloads of a job's runs that have ended, and the runs that caused them,
// oldest first.
func payloadsOf(e *enginetest.Engine, job uuid.UUID) (payloads []map[string]any, causes []string) {
	e.T.Helper()
	rows, err := e.Pool.Query(e.T.Context(),
		`select payload, coalesce(caused_by::text, '') from runs where job_id = $1 order by scheduled_for`, job)
	require.NoError(e.T, err)
	defer rows.Close()
	for rows.Next() {
		var raw []byte
		var cause string
		require.NoError(e.T, rows.Scan(&raw, &cause))
		var payload map[string]any
		require.NoError(e.T, json.Unmarshal(raw, &payload), "%s", raw)
		payloads, causes = append(payloads, payload), append(causes, cause)
	}
	require.NoError(e.T, rows.Err())
	return payloads, causes
}

// onDemand is the start of the JSON of a job that runs when it is asked to, and fails at once.
const onDemand = `{"onDemand":true,"maxAttempts":1`

// endOf describes how the runs of a job ended, newest first.
func endOf(e *enginetest.Engine, job uuid.UUID) (all []string) {
	e.T.Helper()
	for _, run := range e.Runs(job) {
		text := run.Status + " " + string(run.Trigger)
		if run.Reason != nil {
			text += " " + string(*run.Reason)
		}
		all = append(all, text)
	}
	return all
}

func TestStartByEvents(t *testing.T) {
	t.Parallel()
	t.Run("starts a chain", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		a := e.Due(`,"key":"a"`).Job.ID
		b := e.Create(`{"name":"b","key":"b","startsOn":{"events":["run.succeeded"],"jobs":{"keys":["a"]}}}`).Job.ID
		c := e.Create(`{"name":"c","startsOn":{"events":["run.succeeded"],"jobs":{"keys":["b"]}}}`).Job.ID
		drive(e)
		for _, job := range []uuid.UUID{a, b, c} {
			require.EqualValues(t, 1, e.Job(job).RunCount)
		}
		require.Equal(t, []string{"SUCCEEDED EVENT"}, endOf(e, c))
		payloads, causes := payloadsOf(e, c)
		require.Equal(t, "run.succeeded", payloads[0]["type"])
		require.Equal(t, "b", payloads[0]["data"].(map[string]any)["jobKey"])
		require.Equal(t, enginetest.IDOf(e.Runs(b)[0]).String(), causes[0])
	})

	t.Run("ends a loop at the ninth run", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		a := e.Create(`{"name":"a","key":"a","startsOn":{"events":["run.succeeded","run.skipped"],"jobs":{"keys":["b"]}}}`).Job.ID
		b := e.Create(`{"name":"b","key":"b","startsOn":{"events":["run.succeeded","run.skipped"],"jobs":{"keys":["a"]}}}`).Job.ID
		e.Start(a, "")
		drive(e)
		require.Equal(t, []string{
			"SKIPPED EVENT EVENT_DEPTH", "SUCCEEDED EVENT", "SUCCEEDED EVENT", "SUCCEEDED EVENT", "SUCCEEDED MANUAL",
		}, endOf(e, a))
		require.Equal(t, []string{"SUCCEEDED EVENT", "SUCCEEDED EVENT", "SUCCEEDED EVENT", "SUCCEEDED EVENT"}, endOf(e, b))
		require.Zero(t, e.Count(`select count(*) from event_starts`))
	})

	t.Run("starts no run of the job of the event", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"all","startsOn":{"events":["run.succeeded"]}}`).Job.ID
		e.Start(job, "")
		drive(e)
		require.Equal(t, []string{"SUCCEEDED MANUAL"}, endOf(e, job))
	})

	t.Run("selects jobs by their labels", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		in := e.Create(onDemand + `,"name":"in","labels":{"team":"a"}}`).Job.ID
		out := e.Create(onDemand + `,"name":"out","labels":{"team":"b"}}`).Job.ID
		alert := e.Create(`{"name":"alert","startsOn":{"events":["run.failed"],"jobs":{"labelSelector":"team=a"}}}`).Job.ID
		cause := fail(e, in)
		fail(e, out)
		drive(e)
		_, causes := payloadsOf(e, alert)
		require.Equal(t, []string{cause.String()}, causes)
	})

	t.Run("keeps the event and its cause in a retry", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		watched := e.Create(onDemand + `,"name":"a"}`).Job.ID
		alert := e.Create(`{"name":"alert","maxAttempts":1,"startsOn":{"events":["run.failed"]}}`).Job.ID
		cause := fail(e, watched)
		e.StartByEvents()
		e.End(e.Begin(), errNoLuck)
		_, err := e.Jobs.Retry(t.Context(), enginetest.By, enginetest.IDOf(e.Runs(alert)[0]), nil)
		require.NoError(t, err)
		drive(e)
		require.Equal(t, []string{"SUCCEEDED RETRY", "FAILED EVENT"}, endOf(e, alert))
		payloads, causes := payloadsOf(e, alert)
		require.Equal(t, payloads[0], payloads[1])
		require.Equal(t, []string{cause.String(), cause.String()}, causes)
	})

	t.Run("starts nothing by what was undone", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		watched := e.Create(onDemand + `,"name":"a"}`).Job.ID
		e.Create(`{"name":"alert","startsOn":{"events":["run.failed"]}}`)
		e.Start(watched, "")
		rows := e.ClaimUnder(e.NewLease(), 0)
		e.Exec(`update due set token = token + 1 where attempt > 0`) // it was taken over
		saved := e.Store().Save(t.Context(), e.EndAll(rows, errNoLuck))
		require.Len(t, saved.Lost, 1)
		require.Zero(t, e.Count(`select count(*) from event_starts`))
	})
}

func TestStartByEvents_group(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	watched := e.Create(onDemand + `,"name":"watched"}`).Job.ID
	alert := e.Create(`{"name":"alert","startsOn":{"events":["run.failed"],"groupWithinSeconds":60}}`).Job.ID
	const failures = 5000
	e.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger)
		select $1, now() - n * interval '1 microsecond', now() - n * interval '1 microsecond', false, 'MANUAL'
		from generate_series(1, $2) n`, watched, failures)
	for range failures / 100 {
		rows := e.ClaimUnder(e.NewLease(), 0)
		require.Len(t, rows, 100)
		saved := e.Store().Save(t.Context(), e.EndAll(rows, errNoLuck))
		require.Empty(t, saved)
	}
	require.Equal(t, failures, e.Count(`select count(*) from event_starts`))
	require.Positive(t, e.StartByEvents(), "it waits for the time to be up")
	require.Zero(t, e.Pass())
	e.Exec(`update event_starts set ready_at = ready_at - interval '61 seconds'`)
	drive(e)
	require.Equal(t, []string{"SUCCEEDED EVENT"}, endOf(e, alert))
	payloads, causes := payloadsOf(e, alert)
	data := payloads[0]["data"].(map[string]any)
	require.Equal(t, "events.grouped", payloads[0]["type"])
	require.EqualValues(t, failures, data["count"])
	require.Len(t, data["events"], 100)
	require.NotEmpty(t, causes[0])
	raw, err := json.Marshal(payloads[0])
	require.NoError(t, err)
	require.Less(t, len(raw), 110<<10)
	require.Zero(t, e.Count(`select count(*) from event_starts`))
}

// A storm that is not grouped makes as many runs, by few statements.
func TestStartByEvents_storm(t *testing.T) {
	t.Parallel()
	e, sent := enginetest.NewTraced(t)
	alert := e.Create(`{"name":"alert","startsOn":{"events":["run.failed"]}}`).Job.ID
	const starts = 5000
	e.Exec(`insert into event_starts (job_id, namespace, ready_at, event, event_depth)
		select $1, 'default', now(), '{}', 1 from generate_series(1, $2)`, alert, starts)
	sent.Take()
	e.StartByEvents()
	require.Less(t, len(sent.Take()), 100)
	require.Equal(t, starts, e.Count(`select count(*) from due where job_id = $1 and trigger = 'EVENT' and event_depth = 1`, alert))
	e.Edit(alert, `{"status":"PAUSED"}`)
	e.Exec(`insert into event_starts (job_id, namespace, ready_at, event, event_depth)
		select $1, 'default', now(), '{}', 1 from generate_series(1, $2)`, alert, starts)
	sent.Take()
	e.StartByEvents()
	require.Less(t, len(sent.Take()), 100)
	require.Equal(t, starts, e.Count(`select count(*) from runs where job_id = $1 and reason = 'JOB_PAUSED'`, alert))
}

func TestStartByEvents_overlap(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string][]string{
		"ALLOW_ALL":    {"SUCCEEDED EVENT", "SUCCEEDED EVENT", "SUCCEEDED EVENT"},
		"SKIP":         {"SKIPPED EVENT OVERLAP", "SKIPPED EVENT OVERLAP", "SUCCEEDED EVENT"},
		"BUFFER_ONE":   {"SKIPPED EVENT OVERLAP", "SUCCEEDED EVENT", "SUCCEEDED EVENT"},
		"CANCEL_OTHER": {"SUCCEEDED EVENT", "CANCELED EVENT OVERLAP", "CANCELED EVENT OVERLAP"},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			watched := e.Create(onDemand + `,"name":"watched"}`).Job.ID
			alert := e.Create(fmt.Sprintf(`{"name":"alert","overlapPolicy":%q,"startsOn":{"events":["run.failed"]}}`, policy)).Job.ID
			var causes []string
			for range 3 {
				causes = append(causes, fail(e, watched).String())
			}
			drive(e)
			require.Equal(t, want, endOf(e, alert))
			payloads, caused := payloadsOf(e, alert)
			require.Equal(t, causes, caused, "each event has made one run")
			for i, payload := range payloads {
				require.Equal(t, causes[i], payload["data"].(map[string]any)["runId"])
			}
		})
	}
}
