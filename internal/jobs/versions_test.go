package jobs_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/broker"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// versions returns all versions of a job, newest first.
func versions(e *enginetest.Engine, job uuid.UUID) []jobs.Version {
	e.T.Helper()
	all, more, err := e.Jobs.Versions(e.T.Context(), enginetest.By, job, 1<<30, 100)
	require.NoError(e.T, err)
	require.False(e.T, more)
	return all
}

// A version is the job as it was, in each field, and its payload has the bytes that it had.
func TestVersionIsTheJobAsItWas(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"object": `{ "b" : 1.50,  "a":1e400, "a": "\u00e9 <>&",\t"n": 123456789012345678901234567890 }`,
		"text":   `"\u00e9\u2028 \/ <"`,
		"null":   `null`,
		"number": `-0.0`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			payload := strings.ReplaceAll(payload, `\t`, "\t")
			first := e.Create(`{"name":"x","cron":"0 9 * * *","timeZone":"Europe/Berlin","startAt":"2020-01-01T00:00:00.123456Z",
				"endAt":"9999-12-31T00:00:00Z","maxRuns":7,"jitterSeconds":3,"pauseAfterFailures":4,"catchupWindowSeconds":60,
				"concurrencyGroup":"g \"","maxConcurrency":2,"payload":` + payload + `}`)
			require.Equal(t, payload, string(first.Job.Payload))
			second := e.Edit(first.Job.ID, `{"name":"y","payload":1,"intervalInSeconds":60,"startAt":null,"concurrencyGroup":null,
				"maxConcurrency":null,"target":{"type":"worker","queue":"q"}}`)
			require.EqualValues(t, 2, second.Job.Version)
			require.True(t, second.Job.UpdatedAt.After(first.Job.UpdatedAt))
			all := versions(e, first.Job.ID)
			require.Len(t, all, 2)
			require.Equal(t, second.Job, all[0].Job)
			require.Equal(t, first.Job, all[1].Job)
			require.Equal(t, first.Job, all[0].Before.Job)
			require.Nil(t, all[1].Before)
			require.Equal(t, payload, string(all[1].Job.Payload), "byte for byte")
		})
	}
}

// What the service does to a job is no version, and is not said to be what a request did.
func TestVersionsDoNotHaveWhatTheServiceDid(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Due(`,"maxAttempts":1,"pauseAfterFailures":1`).Job
	e.Edit(job.ID, `{"name":"renamed"}`)
	e.End(e.Begin(), errors.New("no luck"))
	now := e.Job(job.ID).Job
	require.Equal(t, db.JobStatusPAUSED, now.Status, "the service has paused it")
	require.EqualValues(t, 2, now.Version)
	all := versions(e, job.ID)
	require.Len(t, all, 2)
	require.Equal(t, db.JobStatusACTIVE, all[0].Job.Status, "the request only renamed it")
	require.Nil(t, all[0].Job.StatusReason)

	e.Edit(job.ID, `{"status":"ACTIVE"}`)
	e.Edit(job.ID, `{"name":"again"}`)
	all = versions(e, job.ID)
	require.Len(t, all, 4)
	require.Equal(t, db.JobStatusPAUSED, all[1].Before.Job.Status, "which the request found")
	require.Equal(t, db.JobStatusACTIVE, all[1].Job.Status, "and changed")
	require.Equal(t, db.JobStatusACTIVE, all[2].Job.Status)
}

// A list goes from page to page, and a page with large payloads ends early.
func TestVersionsByPage(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(`{"name":"x","intervalInSeconds":60}`).Job.ID
	large := strings.Repeat("x", 900<<10)
	const edits = 25
	for i := range edits {
		e.Edit(job, fmt.Sprintf(`{"payload":"%d%s"}`, i, large))
	}
	for _, limit := range []int32{1, 7, 100} {
		want := int32(edits + 1)
		for newest, more := want, true; more; newest = want {
			var page []jobs.Version
			var err error
			page, more, err = e.Jobs.Versions(t.Context(), enginetest.By, job, newest, limit)
			require.NoError(t, err)
			require.NotEmpty(t, page)
			require.LessOrEqual(t, len(page), min(int(limit), 11), "about 8 MiB")
			for _, v := range page {
				require.Equal(t, want, v.Job.Version)
				require.Equal(t, want == 1, v.Before == nil, "the version before %d is there", want)
				want--
			}
		}
		require.Zero(t, want, "all of them")
	}
	version, err := e.Jobs.Version(t.Context(), enginetest.By, job, 1)
	require.NoError(t, err)
	require.Equal(t, "null", string(version.Job.Payload))
	for _, no := range []int32{0, edits + 2} {
		_, err = e.Jobs.Version(t.Context(), enginetest.By, job, no)
		require.ErrorIs(t, err, jobs.ErrVersionNotFound)
	}
}

// Of a deleted job nothing stays that the user wrote, whoever deletes it.
func TestVersionsGoWithTheirJob(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*enginetest.Engine, uuid.UUID){
		"by a request":          (*enginetest.Engine).Delete,
		"after its completion":  func(e *enginetest.Engine, _ uuid.UUID) { e.End(e.Begin(), nil) },
		"by what uses it up":    func(e *enginetest.Engine, job uuid.UUID) { e.Exec(`update due set run_count = 1`); complete(e, job) },
		"when nothing comes up": func(e *enginetest.Engine, job uuid.UUID) { resumeTooLate(e, job) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Due(`,"maxRuns":2,"deleteAfterCompletion":true`).Job.ID
			e.Edit(job, `{"maxRuns":1,"payload":"private"}`)
			other := e.Create(`{"name":"other","intervalInSeconds":3600}`).Job.ID
			e.Edit(other, `{"name":"changed"}`)
			end(e, job)
			require.Equal(t, 1, e.Count(`select count(*) from jobs where id = $1 and deleted_at is not null`, job))
			require.Zero(t, e.Count(`select count(*) from job_versions where job_id = $1`, job))
			_, _, err := e.Jobs.Versions(t.Context(), enginetest.By, job, 9, 9)
			require.ErrorIs(t, err, jobs.ErrNotFound)
			require.Len(t, versions(e, other), 2)
		})
	}
}

// complete completes a job of which nothing is in flight.
func complete(e *enginetest.Engine, job uuid.UUID) {
	e.T.Helper()
	completed, err := e.Jobs.CompleteUsedUp(e.T.Context(), enginetest.By, job)
	require.NoError(e.T, err)
	require.True(e.T, completed)
}

// resumeTooLate pauses a job and resumes it when nothing is left of its schedule.
func resumeTooLate(e *enginetest.Engine, job uuid.UUID) {
	e.T.Helper()
	e.Edit(job, `{"status":"PAUSED"}`)
	e.Exec(`update jobs set end_at = now() where id = $1`, job)
	e.Edit(job, `{"status":"ACTIVE"}`)
}

// Of changes that are for the same version, one is made.
func TestChangesForOneVersion(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(`{"name":"x","intervalInSeconds":60}`).Job.ID
	const clients = 8
	var wait sync.WaitGroup
	failures := make(chan error, clients)
	for i := range clients {
		wait.Go(func() {
			_, err := e.Jobs.Update(t.Context(), enginetest.By, job, change(t, fmt.Sprintf(`{"name":"by %d"}`, i)), 1)
			failures <- err
		})
	}
	wait.Wait()
	close(failures)
	won := 0
	for err := range failures {
		if err == nil {
			won++
			continue
		}
		changed, ok := errors.AsType[*jobs.VersionChanged](err)
		require.True(t, ok, "%v", err)
		require.EqualValues(t, 2, changed.Current)
	}
	require.Equal(t, 1, won)
	require.Len(t, versions(e, job), 2)
	require.Error(t, e.Jobs.Delete(t.Context(), enginetest.By, job, 1, 3))
	require.NoError(t, e.Jobs.Delete(t.Context(), enginetest.By, job, 1, 2))
}

// A run has the version that its last attempt executed.
func TestVersionOfARun(t *testing.T) {
	t.Parallel()
	edit := func(e *enginetest.Engine, job uuid.UUID) { e.Edit(job, `{"payload":"other"}`) }
	failed := errors.New("no luck")
	version := func(e *enginetest.Engine, job uuid.UUID) int32 {
		runs := e.Runs(job)
		last := runs[len(runs)-1]
		require.NotNil(e.T, last.FinishedAt, "it has ended")
		if last.JobVersion == nil {
			return 1
		}
		return *last.JobVersion
	}
	t.Run("that is claimed before the edit", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		attempt := e.Begin()
		edit(e, job)
		e.End(attempt, nil)
		require.EqualValues(t, 1, version(e, job))
		require.Equal(t, 1, e.Count(`select count(*) from runs where job_version is null`), "the first version costs nothing")
	})
	t.Run("that is claimed after the edit", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		edit(e, job)
		require.Nil(t, e.Runs(job)[0].JobVersion, "it has executed none")
		e.End(e.Begin(), nil)
		require.EqualValues(t, 2, version(e, job))
	})
	t.Run("whose job is edited between two attempts", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"minBackoffSeconds":0,"maxBackoffSeconds":0`).Job.ID
		e.End(e.Begin(), failed)
		edit(e, job)
		e.End(e.Begin(), nil)
		require.EqualValues(t, 2, version(e, job))
	})
	t.Run("that ends without another attempt", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"minBackoffSeconds":60`).Job.ID
		edit(e, job)
		e.End(e.Begin(), failed)
		e.Edit(job, `{"maxAttempts":1}`)
		e.Execute(1)
		require.EqualValues(t, 2, version(e, job), "version 3 was never executed")
	})
	t.Run("whose completion is computed again", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		attempt := e.Begin()
		e.Edit(job, `{"intervalInSeconds":30}`)
		e.End(attempt, nil)
		require.EqualValues(t, 1, version(e, job))
	})
	t.Run("of a worker whose job is edited meanwhile", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"target":{"type":"worker","queue":"q"}`).Job.ID
		edit(e, job)
		held := e.LeaseOne("q")
		e.Edit(job, `{"payload":"third"}`)
		require.NoError(t, e.Broker().End(t.Context(), enginetest.By, broker.Report{Run: held.RunID(), Token: held.Due.Token}))
		require.EqualValues(t, 2, version(e, job), "the payload that the worker got")
	})
	t.Run("that was skipped", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"misfirePolicy":"SKIP"`).Job.ID
		edit(e, job)
		e.Exec(`update due set scheduled_for = scheduled_for - interval '1 hour', ready_at = ready_at - interval '1 hour'`)
		e.Pass()
		require.Equal(t, 1, e.Count(`select count(*) from runs where status = 'SKIPPED' and job_version is null`))
	})
}
