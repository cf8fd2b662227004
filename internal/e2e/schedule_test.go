package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// create creates a job from JSON.
func (i instance) create(t *testing.T, body string) client.Job {
	t.Helper()
	got, err := i.CreateJobWithBodyWithResponse(t.Context(), nil, "application/json", bytes.NewBufferString(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, got.StatusCode(), "created: %s", got.Body)
	return *got.JSON201
}

// patch changes a job by JSON.
func (i instance) patch(t *testing.T, id uuid.UUID, body string) *client.UpdateJobResponse {
	t.Helper()
	got, err := i.UpdateJobWithBodyWithResponse(t.Context(), id, nil, "application/json", bytes.NewBufferString(body))
	require.NoError(t, err)
	return got
}

func TestCreateJob(t *testing.T) {
	t.Parallel()
	t.Run("takes the defaults of the contract", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		job := service.create(t, `{"name":"plain","intervalInSeconds":60}`)
		require.Equal(t, client.MisfirePolicyFIREONCE, job.MisfirePolicy)
		require.Equal(t, client.OverlapPolicySKIP, job.OverlapPolicy)
		require.EqualValues(t, 3, job.MaxAttempts)
		require.EqualValues(t, 5, job.MinBackoffSeconds)
		require.EqualValues(t, 600, job.MaxBackoffSeconds)
		require.EqualValues(t, 300, job.AttemptDeadlineSeconds)
		require.Equal(t, client.RunHistoryALL, job.RunHistory)
		require.Nil(t, job.PauseAfterFailures)
		require.Nil(t, job.TimeZone)
		require.JSONEq(t, `null`, string(job.Payload))
	})
	t.Run("names the wrong fields of a schedule", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		for body, fields := range map[string][]string{
			`{"name":"x"}`: {"intervalInSeconds", "cron", "rrule", "runAt", "onDemand", "startsOn"},
			`{"name":"x","intervalInSeconds":1,"cron":"* * * * *"}`:            {"intervalInSeconds", "cron"},
			`{"name":"x","cron":"61 * * * *"}`:                                 {"cron"},
			`{"name":"x","cron":"CRON_TZ=UTC 0 0 * * *"}`:                      {"cron"},
			`{"name":"x","cron":"0 0 30 2 *"}`:                                 {"cron"},
			`{"name":"x","cron":"0 0 * * *","timeZone":"Mars/Olympus"}`:        {"timeZone"},
			`{"name":"x","cron":"0 0 * * *","timeZone":"Local"}`:               {"timeZone"},
			`{"name":"x","intervalInSeconds":1,"timeZone":"UTC"}`:              {"timeZone"},
			`{"name":"x","cron":"0 0 * * *","timeZone":"localtime"}`:           {"timeZone"},
			`{"name":"x","cron":"0 0 * * *","timeZone":"right/Europe/Berlin"}`: {"timeZone"},
			`{"name":"x","runAt":"2030-06-30T23:59:60Z"}`:                      {"runAt"},
			`{"name":"x","runAt":"9999-12-31T23:59:59-01:00"}`:                 {"runAt"},
			`{"name":"x","intervalInSeconds":1,"startAt":"0000-01-01T00:00:00+01:00"}`: {
				"startAt",
			},
			`{"name":"x","intervalInSeconds":1,"endAt":"0001-01-01T00:00:00Z"}`: {"endAt"},
			`{"name":"x","runAt":"2020-01-01T00:00:00Z","endAt":"2030-01-01T00:00:00Z"}`: {
				"runAt",
			},
			`{"name":"x","runAt":"2030-01-01T00:00:00Z","startAt":"2031-01-01T00:00:00Z"}`: {
				"startAt",
			},
			`{"name":"x","runAt":"2031-01-01T00:00:00Z","endAt":"2030-01-01T00:00:00Z"}`: {
				"endAt",
			},
			`{"name":"x","cron":"0 0 * * *","startAt":"9999-12-31T00:00:01Z"}`:  {"startAt"},
			`{"name":"x","runAt":"2020-01-01T00:00:00Z"}`:                       {"runAt"},
			`{"name":"x","runAt":"tomorrow"}`:                                   {"runAt"},
			`{"name":"x","intervalInSeconds":1,"endAt":"2020-01-01T00:00:00Z"}`: {"endAt"},
			`{"name":"x","intervalInSeconds":1,"startAt":"2031-01-01T00:00:00Z","endAt":"2030-01-01T00:00:00Z"}`: {
				"startAt", "endAt",
			},
			`{"name":"x","intervalInSeconds":1,"minBackoffSeconds":10,"maxBackoffSeconds":9,"cron":"nonsense at all"}`: {
				"intervalInSeconds", "cron", "minBackoffSeconds", "maxBackoffSeconds",
			},
		} {
			got, err := service.CreateJobWithBodyWithResponse(t.Context(), nil, "application/json", bytes.NewBufferString(body))
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, got.StatusCode(), body)
			var names []string
			for _, e := range *got.ApplicationproblemJSON400.Errors {
				names = append(names, e.Field)
			}
			require.Equal(t, fields, names, body)
		}
	})
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	t.Run("of cron is due at its local time", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		job := service.create(t, `{"name":"cron","cron":"30 9 * * *","timeZone":"Asia/Kolkata"}`)
		require.Equal(t, "04:00", job.NextRunAt.UTC().Format("15:04"))

		got, err := service.ListUpcomingWithResponse(
			t.Context(),
			job.Id,
			&client.ListUpcomingParams{Count: new(client.OccurrenceCount(3))},
		)
		require.NoError(t, err)
		require.Len(t, got.JSON200.Items, 3)
		require.Equal(t, *job.NextRunAt, got.JSON200.Items[0].ScheduledFor)
		require.Contains(t, got.JSON200.Items[0].LocalTime, "T09:30:00+05:30")
		require.Equal(t, job.NextRunAt.Add(24*time.Hour), got.JSON200.Items[1].ScheduledFor)

		service.patch(t, job.Id, `{"status":"PAUSED"}`)
		got, err = service.ListUpcomingWithResponse(t.Context(), job.Id, nil)
		require.NoError(t, err)
		require.Empty(t, got.JSON200.Items, "a paused job is not due")
	})
	t.Run("preview marks the occurrences that a clock change moved", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		got, err := service.PreviewScheduleWithBodyWithResponse(t.Context(), "application/json", bytes.NewBufferString(
			`{"cron":"30 2 * * *","timeZone":"Europe/Berlin","after":"2027-03-27T00:00:00Z","count":3}`))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
		items := got.JSON200.Items
		require.Equal(t, []string{"2027-03-27T02:30:00+01:00", "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"},
			[]string{items[0].LocalTime, items[1].LocalTime, items[2].LocalTime})
		require.Equal(t, []bool{false, true, false},
			[]bool{items[0].MovedByClockChange, items[1].MovedByClockChange, items[2].MovedByClockChange})
		require.Zero(t, count(t, db, "select count(*) from jobs"), "nothing is stored")
	})
	t.Run("is bounded by start and end", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		start := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		end := start.Add(90 * time.Second)
		job := service.create(
			t,
			`{"name":"bounded","intervalInSeconds":60,"startAt":"`+start.Format(
				time.RFC3339,
			)+`","endAt":"`+end.Format(
				time.RFC3339,
			)+`"}`,
		)
		got, err := service.ListUpcomingWithResponse(t.Context(), job.Id, nil)
		require.NoError(t, err)
		require.Len(t, got.JSON200.Items, 2)
		require.Equal(t, start, got.JSON200.Items[0].ScheduledFor, "the start is the first")
		require.Equal(t, start.Add(time.Minute), got.JSON200.Items[1].ScheduledFor)

		cleared := service.patch(t, job.Id, `{"endAt":null}`)
		require.Equal(t, http.StatusOK, cleared.StatusCode(), "%s", cleared.Body)
		require.Nil(t, cleared.JSON200.EndAt)
		require.Equal(t, start, *cleared.JSON200.NextRunAt)
	})
	t.Run("has the jitter of its job", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		job := service.create(t, `{"name":"spread","cron":"0 * * * *","jitterSeconds":600}`)
		shift := job.NextRunAt.Sub(job.NextRunAt.Truncate(time.Hour))
		require.Less(t, shift, 10*time.Minute)
		got, err := service.ListUpcomingWithResponse(t.Context(), job.Id, nil)
		require.NoError(t, err)
		for n, item := range got.JSON200.Items {
			require.Equal(t, job.NextRunAt.Add(time.Duration(n)*time.Hour), item.ScheduledFor, "always the same")
		}
	})
	t.Run("is not changed to an instant that does not exist", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		job := service.createJob(t, "x", 60, `null`)
		for _, at := range []string{"2030-06-30T23:59:60Z", "9999-12-31T23:59:59-01:00"} {
			got := service.patch(t, job.Id, `{"endAt":"`+at+`"}`)
			require.Equal(t, http.StatusBadRequest, got.StatusCode(), "%s", got.Body)
			require.Equal(t, "endAt", (*got.ApplicationproblemJSON400.Errors)[0].Field)
		}
	})
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	t.Run("of a job that runs once", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		at := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		job := service.create(t, `{"name":"once","runAt":"`+at.Format(time.RFC3339Nano)+`"}`)
		require.Equal(t, at, *job.NextRunAt)

		_, err := db.Exec(t.Context(), "update jobs set run_at = now() where id = $1", job.Id)
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), "update due set scheduled_for = now(), ready_at = now() where job_id = $1", job.Id)
		require.NoError(t, err)
		require.Equal(t, 1, service.pass(t))

		done := service.getJob(t, job.Id)
		require.Equal(t, client.JobStatusCOMPLETED, done.Status)
		require.Nil(t, done.NextRunAt)
		require.EqualValues(t, 1, done.RunCount)
		require.NotNil(t, done.LastRunAt)
		require.Len(t, service.listRuns(t, job.Id), 1, "it keeps its history")
		require.Zero(t, count(t, db, "select count(*) from due"))

		again := service.patch(t, job.Id, `{"status":"ACTIVE"}`)
		require.Equal(t, http.StatusBadRequest, again.StatusCode())
		require.Equal(t, "runAt", (*again.ApplicationproblemJSON400.Errors)[0].Field)
		revived := service.patch(t, job.Id, `{"status":"ACTIVE","intervalInSeconds":60}`)
		require.Equal(t, http.StatusOK, revived.StatusCode(), "%s", revived.Body)
		require.Nil(t, revived.JSON200.RunAt, "the interval replaces the instant")
		require.NotNil(t, revived.JSON200.NextRunAt)
		require.EqualValues(t, 1, revived.JSON200.RunCount)
	})
	t.Run("after maxRuns deletes the job", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		job := service.create(
			t,
			`{"name":"twice","intervalInSeconds":60,"maxRuns":2,"deleteAfterCompletion":true,"payload":"mine"}`,
		)
		age(t, db, job.Id, time.Minute)
		require.Equal(t, 1, service.pass(t))
		require.EqualValues(t, 1, service.getJob(t, job.Id).RunCount)
		run := service.listRuns(t, job.Id)[0]

		// A pause in between does not make it forget.
		service.patch(t, job.Id, `{"status":"PAUSED"}`)
		require.EqualValues(t, 1, service.getJob(t, job.Id).RunCount)
		service.patch(t, job.Id, `{"status":"ACTIVE"}`)
		_, err := db.Exec(t.Context(), "update due set scheduled_for = now(), ready_at = now() where job_id = $1", job.Id)
		require.NoError(t, err)
		require.Equal(t, 1, service.pass(t))

		gone, err := service.GetJobWithResponse(t.Context(), job.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, gone.StatusCode(), "it was deleted when it had completed")
		require.Zero(t, count(t, db, `select count(*) from jobs where name = 'twice' or payload::text <> 'null'`),
			"what the user wrote is gone with it")
		stays, err := service.GetRunWithResponse(t.Context(), run.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, stays.StatusCode())
	})
}

// A change of one field leaves the bytes of the payload alone.
func TestPayloadIsKept(t *testing.T) {
	t.Parallel()
	service, db := setup(t)
	job := service.create(t, `{"name":"x","intervalInSeconds":60,"payload":{ "html": "<b>&amp;</b>", "n": 1.50 }}`)
	service.patch(t, job.Id, `{"name":"y"}`)
	var payload string
	require.NoError(t, db.QueryRow(t.Context(), "select payload::text from jobs where id = $1", job.Id).Scan(&payload))
	require.True(t, payload == `{ "html": "<b>&amp;</b>", "n": 1.50 }`, payload) //nolint:testifylint // not only as JSON
	service.patch(t, job.Id, `{"payload":[ 1e400 ]}`)
	require.NoError(t, db.QueryRow(t.Context(), "select payload::text from jobs where id = $1", job.Id).Scan(&payload))
	require.True(t, payload == `[ 1e400 ]`, payload) //nolint:testifylint // not only as JSON
	require.True(t, json.Valid(service.getJob(t, job.Id).Payload))
}
