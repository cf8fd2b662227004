package broker_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/broker"
	"punctual/internal/database"
	"punctual/internal/maintenance"
	"punctual/internal/runid"
	"punctual/internal/testdb"
	"punctual/internal/testdb/enginetest"
)

// bench is a database of its own, with a broker.
type bench struct {
	*broker.Broker
	t    *testing.T
	pool *pgxpool.Pool
	log  *bytes.Buffer
}

func setup(t *testing.T) bench {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = maintenance.Partitions(db.New(pool)).Pass(t.Context())
	require.NoError(t, err)
	log := new(bytes.Buffer)
	return bench{t: t, pool: pool, log: log, Broker: broker.New(broker.Config{
		Pool: pool, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})}
}

func (b bench) exec(sql string) {
	b.t.Helper()
	_, err := b.pool.Exec(b.t.Context(), sql)
	require.NoError(b.t, err)
}

// job creates a job of a queue that was due a while ago, and returns its id.
func (b bench) job(queue string, ago time.Duration) uuid.UUID {
	b.t.Helper()
	now, err := db.New(b.pool).DatabaseTime(b.t.Context())
	require.NoError(b.t, err)
	due := now.Add(-ago)
	created := due.Add(-time.Hour)
	id := uuid.Must(uuid.NewV7())
	q := db.New(b.pool)
	err = q.CreateJob(b.t.Context(), db.CreateJobParams{
		OnSkipped: db.OnSkippedDROP, AlertAfterFailures: 1,
		ID: id, Namespace: access.DefaultNamespace, UpdatedBy: "test", Name: "due", Payload: []byte(`null`),
		Target: []byte(`{"type":"worker","queue":"` + queue + `"}`),
		SecretNames: []string{}, IntervalSeconds: new(int64(3600)), AnchorAt: &created, CreatedAt: created,
		MisfirePolicy: db.MisfirePolicyFIREONCE, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
		MaxAttempts: 1, AttemptDeadlineSeconds: 60,
	})
	require.NoError(b.t, err)
	require.NoError(b.t, q.CreateFirst(b.t.Context(), db.CreateFirstParams{ID: id, ScheduledFor: due}))
	return id
}

func qualified(queue string) string { return access.Qualified(access.DefaultNamespace, queue) }

// lease leases what is due in a queue at once.
func (b bench) lease(queue string) *broker.Lease {
	b.t.Helper()
	l, err := b.Lease(b.t.Context(), broker.Ask{Queue: qualified(queue), MaxRuns: 10, Duration: time.Minute, Holder: "worker-1"})
	require.NoError(b.t, err)
	require.NotNil(b.t, l, "something is due in %s", queue)
	return l
}

func TestEndOverdue(t *testing.T) {
	t.Parallel()
	t.Run("one that the database refuses holds up no other", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		refused, other := b.job("q", time.Second), b.job("q", time.Second)
		require.Len(t, b.lease("q").Runs, 2)
		b.exec(`alter table runs add constraint refused check (reason is null or job_id <> '` + refused.String() + `')`)
		b.exec(`update leases set created_at = created_at - interval '2 minutes'`)
		n, err := b.EndOverdue(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		var reason, errorText string
		require.NoError(t, b.pool.QueryRow(t.Context(), `select reason from runs where job_id = $1`, other).Scan(&reason))
		require.Equal(t, "DEADLINE_EXCEEDED", reason)
		require.NoError(t, b.pool.QueryRow(t.Context(), `select error from runs where job_id = $1`, refused).Scan(&errorText))
		require.Contains(t, errorText, "could not be stored")
	})
}

func TestRunsTellWhoExecutedThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job("q", time.Second)
	run := b.lease("q").Runs[0]
	read := func() db.GetRunRow {
		t.Helper()
		scheduledFor, tail, ok := runid.Parse(run.RunID())
		require.True(t, ok)
		row, err := db.New(b.pool).GetRun(t.Context(), db.GetRunParams{
			Namespace: access.DefaultNamespace, ScheduledFor: scheduledFor, JobTail: tail,
		})
		require.NoError(t, err)
		require.Equal(t, job, row.JobID)
		return row
	}
	require.Equal(t, "worker-1", *read().ExecutedBy, "while it is open")
	require.NoError(t, b.End(t.Context(), enginetest.By, broker.Report{Run: run.RunID(), Token: run.Due.Token}))
	require.Equal(t, "SUCCEEDED", read().Status)
	require.Equal(t, "worker-1", *read().ExecutedBy)
}

func TestLease(t *testing.T) {
	t.Parallel()
	t.Run("fails while the database cannot be asked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.pool.Close()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			b.Run(ctx)
		}()
		l, err := b.Lease(t.Context(), broker.Ask{Queue: qualified("q"), MaxRuns: 1, Wait: 500 * time.Millisecond, Duration: time.Minute})
		require.Error(t, err, "it is not known whether something is due")
		require.Nil(t, l)
		stop()
		<-stopped
	})
}

func TestWarnUnserved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job("served", 2*time.Minute)
	require.Len(t, b.lease("served").Runs, 1)
	b.job("served", 2*time.Minute)
	b.job("unserved", 2*time.Minute)
	b.job("unserved", 3*time.Minute)
	b.job("early", time.Second)
	require.NoError(t, b.WarnUnserved(t.Context()))
	require.Contains(t, b.log.String(), "queue=default/unserved")
	require.NotContains(t, b.log.String(), "queue=served", "a worker holds a run of it")
	require.NotContains(t, b.log.String(), "queue=early")
	b.log.Reset()
	require.NoError(t, b.WarnUnserved(t.Context()))
	require.Empty(t, b.log.String(), "not each time")
}

// A queue is told once to be unattended, by all instances together, until a worker has served it.
func TestAQueueIsToldOnceToBeUnattended(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	e.Create(`{"name":"alert","startsOn":{"events":["queue.unattended"]}}`)
	told := func() (all []string) {
		rows, err := e.Pool.Query(t.Context(), `delete from event_starts returning event -> 'data' ->> 'queue'`)
		require.NoError(t, err)
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return all
	}
	look := func() {
		var looking sync.WaitGroup
		for range 3 { // instances
			looking.Go(func() { require.NoError(t, e.Broker().WarnUnserved(t.Context())) })
		}
		looking.Wait()
	}
	e.Due(`,"target":{"type":"worker","queue":"reports"}`)
	look()
	require.Empty(t, told(), "a run waits, but not for long")
	e.Exec(`update due set scheduled_for = scheduled_for - interval '2 minutes', ready_at = ready_at - interval '2 minutes'`)
	look()
	require.Equal(t, []string{"reports"}, told())
	look()
	require.Empty(t, told())
	lease := e.Lease("reports")
	look()
	require.NoError(t, e.Broker().Release(t.Context(), enginetest.By, lease.Runs[0].RunID(), lease.Runs[0].Due.Token))
	e.Exec(`update due set scheduled_for = scheduled_for - interval '2 minutes', ready_at = ready_at - interval '2 minutes'`)
	look()
	require.Equal(t, []string{"reports"}, told(), "it was served, and is not any more")
}
