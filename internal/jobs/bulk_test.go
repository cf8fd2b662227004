package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/labels"
)

// changeAll does one thing to all jobs, and begins with none after an instant.
func (f fixture) changeAll(b Bulk, until time.Time) (items []BulkItem, isCut bool) {
	f.t.Helper()
	rows, err := f.Pool.Query(f.t.Context(), `select id from jobs`)
	require.NoError(f.t, err)
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		require.NoError(f.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(f.t, rows.Err())
	jobs, err := f.queries.ListBulkJobs(f.t.Context(), db.ListBulkJobsParams{Namespace: me.Namespace, Ids: ids})
	require.NoError(f.t, err)
	return f.changeEach(f.t.Context(), me, &b, jobs, until)
}

var inAnHour = time.Now().Add(time.Hour)

// A bulk change that takes too long ends with the jobs that it has begun with, which are the first.
func TestBulkEndsInTime(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 10 {
		f.create(fmt.Sprintf(`{"name":"%d","intervalInSeconds":60}`, i))
	}
	items, isCut := f.changeAll(Bulk{Action: BulkPause}, time.Now())
	require.True(t, isCut)
	require.Len(t, items, 1, "there is always progress")
	require.Equal(t, "0", items[0].Name)
	require.Equal(t, 1, f.count(`select count(*) from jobs where status = 'PAUSED'`))
	items, isCut = f.changeAll(Bulk{Action: BulkPause}, inAnHour)
	require.False(t, isCut)
	require.Len(t, items, 10)
}

// After an error that is no refusal no other job is begun with, because it may be the database's.
func TestBulkEndsAtAFailure(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 40 {
		f.create(fmt.Sprintf(`{"name":"%d","intervalInSeconds":60,"target":{"type":"http","url":"https://example.com"}}`, i))
	}
	f.exec(`update jobs set target = '7' where name = '5'`) // which no job has
	patch := Bulk{Action: BulkPatch, Patch: decode(t, `{"target":{"url":"https://example.org"}}`)}
	items, isCut := f.changeAll(patch, inAnHour)
	require.True(t, isCut)
	for at, item := range items {
		require.Equal(t, at == 5, item.Err != nil, "the others are done")
		require.Equal(t, at != 5, item.IsChanged)
	}
	require.Equal(t, len(items)-1, f.count(`select count(*) from jobs where version = 2`), "and no more")
}

// A job that is paused only because its namespace is suspended is paused by a bulk change, so that
// it does not go on with the namespace.
func TestBulkPauseOfSuspendedJobs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"x","intervalInSeconds":60}`)
	f.exec(`update namespaces set suspended_at = now()`)
	_, err := f.FollowNamespaces(t.Context())
	require.NoError(t, err)
	pause := Bulk{Action: BulkPause, PauseID: uuid.New(), Reason: new("moved")}
	items, _ := f.changeAll(pause, inAnHour)
	require.True(t, items[0].IsChanged)
	f.exec(`update namespaces set suspended_at = null`)
	_, err = f.FollowNamespaces(t.Context())
	require.NoError(t, err)
	after, err := f.Get(t.Context(), me, job.Job.ID)
	require.NoError(t, err)
	require.Equal(t, db.JobStatusPAUSED, after.Job.Status)
	require.Equal(t, pause.PauseID, *after.Job.PauseID)
	require.Equal(t, "moved", *after.Job.StatusReason)
}

// Nothing can be resumed or started in a suspended namespace; each job says so.
func TestBulkInASuspendedNamespace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"x","intervalInSeconds":60}`)
	f.update(job.Job.ID, paused)
	rows, err := f.queries.ListBulkJobs(t.Context(), db.ListBulkJobsParams{
		Namespace: me.Namespace, Ids: []uuid.UUID{job.Job.ID},
	})
	require.NoError(t, err)
	by := me
	by.Limits.IsSuspended = true
	for _, action := range []BulkAction{BulkResume, BulkRun} {
		items, isCut := f.changeEach(t.Context(), by, &Bulk{Action: action}, rows, inAnHour)
		require.False(t, isCut)
		require.ErrorIs(t, items[0].Err, errSuspended)
	}
}

// A job that was deleted since it was found is as a deletion wants it, and else not found.
func TestBulkOfAJobThatIsGone(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"x","intervalInSeconds":60}`)
	rows := []db.ListBulkJobsRow{{ID: job.Job.ID, Name: "x", Status: db.JobStatusACTIVE}}
	require.NoError(t, f.Delete(t.Context(), me, job.Job.ID))
	items, _ := f.changeEach(t.Context(), me, &Bulk{Action: BulkDelete}, rows, inAnHour)
	require.NoError(t, items[0].Err)
	require.False(t, items[0].IsChanged)
	items, _ = f.changeEach(t.Context(), me, &Bulk{Action: BulkPause}, rows, inAnHour)
	require.ErrorIs(t, items[0].Err, ErrNotFound)
}

// A job that was changed since it was found, so that the filter does not find it any more, is left
// alone, whatever was to be done to it.
func TestBulkOfAJobThatIsAnotherNow(t *testing.T) {
	t.Parallel()
	f := setup(t)
	team, err := labels.ParseSelector("team=a")
	require.NoError(t, err)
	of := map[string]Filter{
		"labels": {Labels: team},
		"status": {Statuses: []db.JobStatus{db.JobStatusCOMPLETED}},
		"target": {TargetType: "worker"},
		"queue":  {Queue: "a"},
		"group":  {ConcurrencyGroup: "a"},
		"pause":  {PauseID: new(uuid.New())},
	}
	job := f.create(`{"name":"x","labels":{"team":"b"},"intervalInSeconds":3600,"target":{"type":"log"}}`)
	rows := []db.ListBulkJobsRow{{ID: job.Job.ID, Name: "x", Status: db.JobStatusACTIVE}}
	for name, filter := range of {
		for _, b := range []Bulk{
			{Action: BulkDelete}, {Action: BulkRun}, {Action: BulkPause}, {Action: BulkPatch, Patch: decode(t, `{"name":"y"}`)},
		} {
			b.Filter = filter
			items, _ := f.changeEach(t.Context(), me, &b, rows, inAnHour)
			require.NoError(t, items[0].Err, "%s %s", b.Action, name)
			require.False(t, items[0].IsChanged, "%s %s", b.Action, name)
		}
	}
	require.Equal(t, 1, f.count(`select count(*) from jobs where version = 1 and status = 'ACTIVE' and deleted_at is null`))
	require.Equal(t, 1, f.count(`select count(*) from due`))
	require.Equal(t, 1, f.count(`select count(*) from audit`))
	items, _ := f.changeEach(t.Context(), me, &Bulk{Action: BulkDelete, Filter: Filter{
		Statuses: []db.JobStatus{db.JobStatusACTIVE}, TargetType: "log",
	}}, rows, inAnHour)
	require.True(t, items[0].IsChanged)
}
