package poller_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/poller"
	"punctual/internal/testdb"
)

// meter counts the runs that execute at a time, on all instances.
type meter struct {
	mu         sync.Mutex
	now, most  int
	order      []uuid.UUID
	executions map[uuid.UUID]int
}

func (m *meter) executor(d time.Duration) executorFunc {
	return func(ctx context.Context, run executor.Run) error {
		m.mu.Lock()
		m.now++
		m.most = max(m.most, m.now)
		m.order = append(m.order, run.JobID)
		m.executions[run.JobID]++
		m.mu.Unlock()
		select {
		case <-time.After(d): // the work
		case <-ctx.Done():
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.now--
		return nil
	}
}

func (b bench) groupedJob(name string, bound int32, interval int64) uuid.UUID {
	b.T.Helper()
	return b.job(func(p *newJob) {
		p.ConcurrencyGroup, p.MaxConcurrency = &name, &bound
		p.IntervalSeconds, p.ScheduledFor = &interval, new(p.CreatedAt.Add(61*time.Second))
	})
}

func TestGroup(t *testing.T) {
	t.Parallel()
	t.Run("is bounded over all instances", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 12 {
			b.groupedJob("database", 3, 3600)
		}
		free := b.dueJob()
		m := &meter{executions: map[uuid.UUID]int{}}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for range 3 {
			p := b.poller(m.executor(50*time.Millisecond), poller.Config{PollInterval: 100 * time.Millisecond})
			running.Go(func() {
				p.Run(ctx)
				_ = p.Drain(context.Background()) // all is stored when it returns
			})
		}
		require.Eventually(
			t,
			func() bool { return b.Count("select count(*) from runs") == 13 },
			20*time.Second,
			10*time.Millisecond,
		)
		stop()
		running.Wait()
		require.LessOrEqual(t, m.most, 4, "three of the group, and the one without")
		require.Greater(t, m.most, 1, "not one after the other")
		require.Equal(t, 1, m.executions[free])
		require.Equal(t, 13, b.Count("select count(*) from runs where status = 'SUCCEEDED' and attempt = 1"))
	})
	// A job that is due all the time does not keep the others out.
	t.Run("is fair among its jobs", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		busy := b.groupedJob("fair", 1, 1)
		b.Exec(`update jobs set anchor_at = anchor_at - interval '30 s' where id = $1`, busy)
		b.Exec(
			`update due set scheduled_for = scheduled_for - interval '30 s', ready_at = ready_at - interval '30 s'
				where job_id = $1`,
			busy,
		)
		other, another := b.groupedJob("fair", 1, 3600), b.groupedJob("fair", 1, 3600)

		m := &meter{executions: map[uuid.UUID]int{}}
		p := b.poller(m.executor(0), poller.Config{})
		for range 4 {
			n, err := p.Pass(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n, "one at a time")
		}
		require.Equal(t, busy, m.order[0], "the one that was due first")
		require.ElementsMatch(t, []uuid.UUID{other, another}, m.order[1:3], "then those that have not run")
		require.Equal(t, busy, m.order[3])
	})
	// A run that is only to be ended does not wait for a place.
	t.Run("has no place for a canceled run", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		holds, ends := b.groupedJob("full", 1, 3600), b.groupedJob("full", 1, 3600)
		b.Exec(
			`update due set lease_id = $1, attempt = 1, token = 1, started_at = now(), awaits_worker = false where job_id = $2`,
			b.NewLease(),
			holds,
		)
		b.Exec(`update due set cancel_reason = 'REQUESTED', awaits_worker = false where job_id = $1`, ends)
		n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "CANCELED", b.Runs(ends)[0].Status)
	})
	// However many runs wait for a place in it.
	t.Run("keeps no other group out", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			isFull bool
			runs   int
		}{"full": {true, 1}, "with a place": {false, 2}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				crowd := b.groupedJob("crowd", 1, 3600)
				if c.isFull { // and each that waits is another job's
					columns := testdb.Columns(t, b.Pool, "jobs")
					b.Exec(`insert into jobs (` + columns + `) select ` + columns + ` from (
						select (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid()))).*
						from jobs j, generate_series(1, 10000)) copy`)
					b.Exec(`update due set lease_id = $1, attempt = 1, token = 1, started_at = now(), awaits_worker = false`, b.NewLease())
				}
				b.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, concurrency_group, queue, awaits_worker)
					select case when $2 then j.id else $1 end, now() - interval '1 min' - row_number() over () * interval '1 ms',
						now() - interval '1 min', false, 'BACKFILL', 'default/=~crowd', 'default/=~crowd', true
					from generate_series(1, case when $2 then 1 else 10000 end), jobs j
					where not $2 or j.id <> $1`, crowd, c.isFull)
				other := b.groupedJob("other", 1, 3600)
				n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
				require.NoError(t, err)
				require.Equal(t, c.runs, n)
				require.Equal(t, "SUCCEEDED", b.Runs(other)[0].Status)
			})
		}
	})
	// While more is due without a group than can be executed.
	t.Run("has its turn when all is busy", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		grouped := b.groupedJob("patient", 1, 3600)
		b.Exec(`update due set scheduled_for = scheduled_for - interval '2 s', ready_at = ready_at - interval '2 s'`)
		for range 20 {
			b.dueJob()
		}
		m := &meter{executions: map[uuid.UUID]int{}}
		p := b.poller(m.executor(0), poller.Config{MaxConcurrentRuns: 1})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			p.Run(ctx)
			_ = p.Drain(context.Background()) // all is stored when it returns
		})
		require.Eventually(
			t,
			func() bool { return b.Count("select count(*) from runs") == 21 },
			20*time.Second,
			10*time.Millisecond,
		)
		stop()
		running.Wait()
		require.Contains(t, m.order[:10], grouped)
	})
	t.Run("leaves where it is what an edit moves meanwhile", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.groupedJob("moving", 1, 3600)
		// The statement waits in the middle, between its snapshot and its locks, until the test lets
		// it go on.
		b.Exec(`alter table jobs rename to all_jobs`)
		b.Exec(`create view jobs as select * from all_jobs where (select pg_advisory_xact_lock_shared(1)) is not null`)
		gate, err := b.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = gate.Exec(t.Context(), `select pg_advisory_xact_lock(1)`)
		require.NoError(t, err)
		given := make(chan []db.GivePlacesRow)
		go func() {
			rows, err := b.GivePlaces(t.Context(), db.GivePlacesParams{Queues: []string{"default/=~moving"}})
			assert.NoError(t, err)
			given <- rows
		}()
		require.Eventually(t, func() bool { return b.waiting() == 1 }, 10*time.Second, 10*time.Millisecond, "it waits")
		elsewhere := db.RerouteWaitingParams{JobID: job, Queue: new("workers"), MaxAttempts: 3}
		require.NoError(t, b.RerouteWaiting(t.Context(), elsewhere))
		require.NoError(t, gate.Rollback(t.Context()))
		require.Empty(t, <-given)
		require.Equal(t, 1, b.Count(`select count(*) from due where awaits_worker and queue = 'workers'`))
	})
}

// The runs of workers count among those of their group, from when they may be leased until they
// end.
func TestGroupOfWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	worker := func(p *newJob) {
		p.Target = []byte(`{"type":"worker","queue":"q"}`)
		p.ConcurrencyGroup, p.MaxConcurrency = new("shared"), new(int32(2))
		p.OverlapPolicy = db.OverlapPolicySKIP
	}
	for range 3 {
		b.job(worker)
	}
	own := b.groupedJob("shared", 2, 3600)
	p := b.poller(succeed, poller.Config{})
	inPlace := func() (n int) {
		return b.Count(`select count(*) from due where concurrency_group is not null and not (awaits_worker and queue = concurrency_group)`)
	}
	pass := func() int {
		n, err := p.Pass(t.Context())
		require.NoError(t, err)
		return n
	}
	executed := pass()
	require.Equal(t, 2-executed, inPlace(), "what an instance has executed has left its place")
	for range 4 {
		executed += pass()
		require.LessOrEqual(t, inPlace(), 2)
	}
	require.Equal(t, 2, b.Count(`select count(*) from due where queue = 'default/q' and awaits_worker`), "no worker asks")

	// A worker takes them one by one.
	taken := 0
	for range 3 {
		executed += pass()
		rows := b.ClaimForWorker("default/q")
		require.Len(t, rows, 1)
		taken++
		executed += pass()
		require.LessOrEqual(t, inPlace(), 2)
		b.Exec(`delete from due where job_id = $1`, rows[0].Job.ID) // it has ended
	}
	executed += pass()
	require.Equal(t, 3, taken)
	require.Equal(t, 1, executed)
	require.Equal(t, "SUCCEEDED", b.Runs(own)[0].Status)
}
