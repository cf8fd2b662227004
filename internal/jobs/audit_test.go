package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// entry is a row of the audit, without when it was written.
type entry struct {
	Namespace, Actor, Operation, ResourceType, ResourceID string
	RequestID                                             *string
	Result                                                map[string]any
}

// audited returns the audit, oldest first.
func audited(e *enginetest.Engine) []entry {
	e.T.Helper()
	rows, err := e.Pool.Query(e.T.Context(),
		`select namespace, actor, operation, resource_type, resource_id, request_id, result from audit order by at`)
	require.NoError(e.T, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	require.NoError(e.T, err)
	return all
}

// auditedSince returns what was written to the audit after the given number of entries.
func auditedSince(e *enginetest.Engine, n int) []entry {
	e.T.Helper()
	return audited(e)[n:]
}

var ann = access.Caller{Actor: "user:ann", Namespace: "default", RequestID: "req-1"}

// by returns an entry of what ann did to a job.
func by(operation string, job uuid.UUID, result map[string]any) entry {
	return entry{
		Namespace: "default", Actor: "user:ann", Operation: operation, ResourceType: "JOB", ResourceID: job.String(),
		RequestID: new("req-1"), Result: result,
	}
}

func change(t *testing.T, body string) (c jobs.Change) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), &c))
	return c
}

// Each operation leaves one entry, with who did it, to what, and with which result.
func TestAudit(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	before := e.Now()
	created, err := e.Jobs.Create(t.Context(), ann, change(t, `{"name":"x","intervalInSeconds":60,"maxAttempts":1}`))
	require.NoError(t, err)
	job := created.Job.ID
	want := []entry{by("createJob", job, map[string]any{"version": 1.0})}
	require.Equal(t, want, audited(e))

	_, err = e.Jobs.Update(t.Context(), ann, job, change(t, `{"name":"y","intervalInSeconds":120,"maxAttempts":1}`))
	require.NoError(t, err)
	want = append(want, by("updateJob", job, map[string]any{"version": 2.0, "fields": []any{"intervalInSeconds", "name"}}))
	require.Equal(t, want, audited(e))

	run, err := e.Jobs.StartRun(t.Context(), ann, job, jobs.RunStart{})
	require.NoError(t, err)
	started := enginetest.IDOf(run).String()
	want = append(want, by("runJob", job, map[string]any{"runId": started}))
	require.Equal(t, want, audited(e))

	_, err = e.Jobs.Cancel(t.Context(), ann, enginetest.IDOf(run))
	require.NoError(t, err)
	want = append(want, by("cancelRun", job, map[string]any{"jobId": job.String()}))
	want[3].ResourceType, want[3].ResourceID = "RUN", started
	require.Equal(t, want, audited(e))

	e.Execute(1)
	again, err := e.Jobs.Retry(t.Context(), ann, enginetest.IDOf(run), nil)
	require.NoError(t, err)
	want = append(want, by("retryRun", job, map[string]any{"jobId": job.String(), "runId": enginetest.IDOf(again).String()}))
	want[4].ResourceType, want[4].ResourceID = "RUN", started
	require.Equal(t, want, audited(e))

	e.Age(job, time.Hour)
	e.Exec(`update due set scheduled_for = now() + interval '1 hour', ready_at = now() + interval '1 hour'`)
	now := e.Now()
	done, err := e.Jobs.Backfill(t.Context(), ann, job, now.Add(-30*time.Minute), now)
	require.NoError(t, err)
	require.NotZero(t, done.Runs)
	want = append(want, by("backfillJob", job, map[string]any{
		"runs": float64(done.Runs), "occurrences": float64(done.Occurrences),
	}))
	require.Equal(t, want, audited(e))

	require.NoError(t, e.Jobs.Delete(t.Context(), ann, job))
	want = append(want, by("deleteJob", job, map[string]any{}))
	require.Equal(t, want, audited(e))
	require.Equal(t, len(want), e.Count(`select count(*) from audit where at between $1 and clock_timestamp()`, before))
}

// What is refused, or changes nothing, leaves no entry.
func TestNothingIsAuditedThatDidNotHappen(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(`{"name":"x","intervalInSeconds":60}`).Job.ID
	elsewhere := ann
	elsewhere.Namespace = "elsewhere"
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	refuse := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"create":              refuse(e.Jobs.Create(t.Context(), ann, change(t, `{"name":"x","cron":"x"}`))),
		"update":              refuse(e.Jobs.Update(t.Context(), ann, job, change(t, `{"name":"y","cron":"x"}`))),
		"update of another's": refuse(e.Jobs.Update(t.Context(), elsewhere, job, change(t, `{"name":"y"}`))),
		"update by nobody":    refuse(e.Jobs.Update(canceled, ann, job, change(t, `{"name":"y"}`))),
		"run":                 refuse(e.Jobs.StartRun(t.Context(), elsewhere, job, jobs.RunStart{})),
		"cancel":              refuse(e.Jobs.Cancel(t.Context(), ann, uuid.New())),
		"backfill":            refuse(e.Jobs.Backfill(t.Context(), ann, job, e.Now(), e.Now().Add(-time.Hour))),
		"delete":              e.Jobs.Delete(t.Context(), elsewhere, job),
	} {
		require.Error(t, err, name)
	}
	e.Edit(job, `{"name":"x"}`)
	require.Len(t, audited(e), 1, "the creation")

	// The change and its entry are one transaction.
	e.Exec(`alter table audit add constraint refused check (operation <> 'updateJob') not valid`)
	_, err := e.Jobs.Update(t.Context(), ann, job, change(t, `{"name":"y"}`))
	require.Error(t, err)
	require.Equal(t, "x", e.Job(job).Job.Name)
	require.Zero(t, e.Count(`select count(*) from job_versions`))
}

// What the service does by itself is done by system.
func TestAuditOfTheService(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		job       string
		fail      bool
		operation string
		result    map[string]any
	}{
		"pauses after failures": {
			`,"maxAttempts":1,"pauseAfterFailures":1`, true, "pauseJob", map[string]any{"statusReason": "a run failed"},
		},
		"pauses a job whose runs may overlap": {
			`,"maxAttempts":1,"pauseAfterFailures":1,"overlapPolicy":"ALLOW_ALL"`, true, "pauseJob",
			map[string]any{"statusReason": "a run failed"},
		},
		"completes": {`,"maxRuns":1`, false, "completeJob", map[string]any{"deleted": false}},
		"completes and deletes": {
			`,"maxRuns":1,"deleteAfterCompletion":true`, false, "completeJob", map[string]any{"deleted": true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			before := e.Due(c.job).Job
			var failure error
			if c.fail {
				failure = errors.New("no luck")
			}
			e.End(e.Begin(), failure)
			all := auditedSince(e, 1)
			require.Len(t, all, 1)
			if reason, ok := all[0].Result["statusReason"]; ok {
				require.NotEmpty(t, reason)
				c.result["statusReason"] = reason
			}
			require.Equal(t, entry{
				Namespace: "default", Actor: "system", Operation: c.operation, ResourceType: "JOB",
				ResourceID: before.ID.String(), Result: c.result,
			}, all[0])
			require.Equal(t, 1, e.Count(`select count(*) from jobs where version = 1 and updated_at = $1 and updated_by = 'anonymous'`,
				before.UpdatedAt), "it is no version of the job")
		})
	}
	t.Run("completes a job off its schedule", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"x","intervalInSeconds":3600,"maxRuns":1,"overlapPolicy":"ALLOW_ALL"}`).Job
		e.Start(job.ID, "")
		e.End(e.Begin(), nil)
		all := auditedSince(e, 2)
		require.Len(t, all, 1)
		require.Equal(t, "completeJob", all[0].Operation)
		require.Equal(t, "system", all[0].Actor)
		require.Equal(t, job.UpdatedAt, e.Job(job.ID).Job.UpdatedAt)
	})
	t.Run("says nothing of a run that changes no job", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		e.Due(``)
		e.End(e.Begin(), nil)
		require.Empty(t, auditedSince(e, 1))
	})
}
