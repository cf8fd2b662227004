package events_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/events"
	"punctual/internal/labels"
	"punctual/internal/testdb/enginetest"
)

// failedOf is a failed run of a job of the default namespace.
func failedOf(job *db.Job) events.Event {
	job.Namespace = access.DefaultNamespace
	return events.OfRun(events.RunFailed, job, events.Run{ID: uuid.New(), Status: db.RunStatusFAILED, FinishedAt: at})
}

func TestWhatStarts(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	self := e.Create(`{"name":"a","key":"self","startsOn":{"events":["run.failed"],"jobs":{"keys":["self","a"]}}}`).Job
	e.Create(`{"name":"b","startsOn":{"events":["run.failed"],"jobs":{"labelSelector":"team in (x,y),!quiet"}}}`)
	e.Create(`{"name":"c","startsOn":{"events":["connection.down"]}}`)
	e.Create(`{"name":"d","startsOn":{"events":["run.failed"],"jobs":{"keys":["deleted"]}}}`)
	e.Delete(e.Create(`{"name":"e","startsOn":{"events":["run.failed"]}}`).Job.ID)
	other := failedOf(&db.Job{Key: new("a")})
	other.Namespace = "other"
	tooDeep := failedOf(&db.Job{Key: new("a")})
	tooDeep.Cause.IsTooDeep = true
	for name, c := range map[string]struct {
		event events.Event
		want  bool
	}{
		"a key":                     {failedOf(&db.Job{Key: new("a")}), true},
		"another key":               {failedOf(&db.Job{Key: new("ab")}), false},
		"no key and no labels":      {failedOf(&db.Job{}), false},
		"its own":                   {failedOf(&self), false},
		"labels":                    {failedOf(&db.Job{Labels: labels.Set{"team": "x"}}), true},
		"other labels":              {failedOf(&db.Job{Labels: labels.Set{"team": "x", "quiet": ""}}), false},
		"another type":              {events.OfJob(events.JobPaused, &db.Job{Namespace: "default", Key: new("a")}, events.Change{}), false},
		"a connection":              {events.OfConnection(events.ConnectionDown, at, "default", "crm", "refused"), true},
		"another event of that":     {events.OfConnection(events.ConnectionRecovered, at, "default", "crm", ""), false},
		"another namespace":         {other, false},
		"the end of a chain":        {tooDeep, false},
		"a queue that nobody wants": {events.OfQueue(events.QueueUnattended, at, "default", "q", at), false},
	} {
		starts, err := e.Events.Starts(t.Context(), c.event)
		require.NoError(t, err)
		require.Equal(t, c.want, starts, name)
	}
	wanted, err := e.Events.Wanted(t.Context(), "default")
	require.NoError(t, err)
	require.Equal(t, wanted, events.SetOf(events.RunFailed, events.ConnectionDown))
	wanted, err = e.Events.Wanted(t.Context(), "other")
	require.NoError(t, err)
	require.Zero(t, wanted)
}

// An instance that hears nothing of a change knows of it after five seconds.
func TestStaleness(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	e.Create(`{"name":"alert","startsOn":{"events":["job.paused"]}}`)
	failed := failedOf(&db.Job{})
	starts := func() bool {
		found, err := e.Events.Starts(t.Context(), failed)
		require.NoError(t, err)
		return found
	}
	require.False(t, starts())
	e.Exec(`update jobs set starts_on = '{"events":["run.failed"]}'`)
	began := time.Now()
	require.False(t, starts(), "it goes by what it knows")
	require.Eventually(t, starts, 8*time.Second, 20*time.Millisecond)
	require.Greater(t, time.Since(began), 4*time.Second)
	e.Exec(`update jobs set starts_on = '{"events":["job.paused"]}'`)
	require.True(t, starts())
	e.Events.Forget()
	require.False(t, starts(), "it has heard of the change")
}

// follower notes what it is told.
type follower struct{ told []events.Type }

func (*follower) Wants(string) events.Set { return events.SetOf(events.RunSucceeded) }

func (f *follower) Publish(what []events.Event) {
	for _, e := range what {
		f.told = append(f.told, e.Type)
	}
}

func TestTell(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	alert := e.Create(`{"name":"alert","startsOn":{"events":["connection.down"]}}`).Job.ID
	looks, woken := &follower{}, 0
	teller := events.New(events.Config{Queries: e.Queries, Follower: looks, Wake: func() { woken++ }})
	down := events.OfConnection(events.ConnectionDown, at, "default", "crm", "refused")
	tell := func(end func(pgx.Tx) error) func() {
		tx, err := e.Pool.Begin(t.Context())
		require.NoError(t, err)
		committed, err := teller.Tell(t.Context(), e.WithTx(tx), down)
		require.NoError(t, err)
		require.NoError(t, end(tx))
		return committed
	}
	tell(func(tx pgx.Tx) error { return tx.Rollback(t.Context()) })
	require.Zero(t, e.Count(`select count(*) from event_starts`))
	committed := tell(func(tx pgx.Tx) error { return tx.Commit(t.Context()) })
	require.Equal(t, 1, e.Count(`select count(*) from event_starts where job_id = $1 and event_depth = 0 and caused_by is null`, alert))
	require.Zero(t, woken)
	committed()
	require.Equal(t, 1, woken)
	require.Equal(t, []events.Type{events.ConnectionDown}, looks.told)

	var nobody *events.Teller
	committed, err := nobody.Tell(t.Context(), nil, down)
	require.NoError(t, err)
	committed()
}
