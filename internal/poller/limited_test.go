package poller_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/poller"
)

// A limit in time is kept in every second, over three instances, and other jobs are not later
// because of what waits.
func TestMaxPerSecond(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	others, c := lateness{}, r.caller()
	c.other = others.add
	for after := range 5 {
		b.many(100, `{"type":"log"}`, time.Duration(1+after)*time.Second)
	}
	instances := b.start(3, c)
	require.Eventually(t, func() bool { return others.count() == 500 }, 20*time.Second, 50*time.Millisecond)
	_, before := others.take()

	b.connection(100, 50)
	for after := range 8 {
		b.many(100, `{"type":"log"}`, time.Duration(2+after)*time.Second)
	}
	b.callers(5000)
	for _, i := range instances {
		i.Missed()
	}
	require.Eventually(t, func() bool { return r.calls.Load() >= 600 }, 30*time.Second, 100*time.Millisecond)
	counts := r.perSecond()
	t.Log("calls in each second:", counts)
	require.GreaterOrEqual(t, len(counts), 9)
	// A call that a busy machine makes late counts in the second after its own.
	slices.Sort(counts)
	require.InDelta(t, 50, counts[len(counts)/2], 3, "calls in most seconds: %v", counts)
	require.Less(t, counts[len(counts)-1], 100, "calls in a second: %v", counts)
	var sum int
	for _, count := range counts {
		sum += count
	}
	require.InDelta(t, 50, float64(sum)/float64(len(counts)), 4, "calls in a second, on average: %v", counts)
	require.Eventually(t, func() bool { return others.count() == 800 }, 20*time.Second, 50*time.Millisecond)
	_, after := others.take()
	t.Log("lateness of others, p99, without and with 5,000 runs that wait for the limit:", before, after)
	require.Less(t, after, before+time.Second, "the runs that wait take 100 s")
}

// Three instances together never have more calls open than the connection allows, and each run is
// executed once.
func TestMaxConcurrency(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	r.answer = func(http.ResponseWriter, *http.Request) { <-time.After(20 * time.Millisecond) } // the time of a call
	b.connection(7, 0)
	b.callers(400)
	b.start(3, r.caller())
	require.Eventually(t, func() bool { return b.Count("select count(*) from runs where status = 'SUCCEEDED'") == 400 }, 30*time.Second, 50*time.Millisecond)
	require.EqualValues(t, 400, r.calls.Load())
	require.LessOrEqual(t, r.highest.Load(), int64(7))
	require.GreaterOrEqual(t, r.highest.Load(), int64(5), "the places are used")
	require.Zero(t, b.Count("select count(*) from due where awaits_worker or lease_id is not null"))
	require.Zero(t, b.Count("select count(*) from runs where executed_by is not null"), "no worker has executed them")
}

// A job with thousands of runs does not keep out a single run of another.
func TestConnectionIsSharedInTurns(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	b.connection(2, 50)
	many, one := b.job(callsCRM), b.job(callsCRM)
	b.Exec(`delete from due`)
	b.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, queue, awaits_worker)
		select $1, now() - n * interval '1 millisecond', now(), false, 'MANUAL', $2, true from generate_series(1, 2000) n`,
		many, access.QualifiedConnection("default", "crm"))
	b.start(1, r.caller())
	require.Eventually(t, func() bool { return r.calls.Load() >= 20 }, 10*time.Second, 5*time.Millisecond)
	b.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, queue, awaits_worker)
		select $1, now(), now(), false, 'MANUAL', $2, true`, one, access.QualifiedConnection("default", "crm"))
	before := r.calls.Load()
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.byJob[one.String()]) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.Less(t, r.calls.Load()-before, int64(300), "calls of the other job meanwhile, which has 1,900 left")
}

// What an instance held when it died is freed, and executed by another. Nothing is lost.
func TestConnectionSurvivesInstance(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	hang := make(chan struct{})
	var hangs sync.Once
	r.answer = func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-hang:
		case <-req.Context().Done():
		}
	}
	b.connection(10, 0)
	b.callers(30)
	first := b.start(1, r.caller())
	require.Eventually(t, func() bool { return r.calls.Load() == 10 }, 10*time.Second, 10*time.Millisecond)
	first[0].stop() // its runs are not stored
	require.Equal(t, 10, b.Count("select count(*) from due where lease_id is not null"))
	hangs.Do(func() { close(hang) })
	b.start(1, r.caller())
	b.Exec(`update leases set expires_at = now() where id in (select lease_id from due)`)
	_, err := b.FreeAbandoned(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.Count("select count(*) from runs where status = 'SUCCEEDED'") == 30 }, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, 10, b.Count("select count(*) from runs where attempt = 2"))
}

// A host that hangs takes no more than the places of its connection. Its connection goes down, one
// run at a time tries it, and when it has recovered, all runs are executed.
func TestConnectionDownAndUp(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	var mu sync.Mutex
	isHanging := true
	r.answer = func(_ http.ResponseWriter, req *http.Request) {
		mu.Lock()
		hangs := isHanging
		mu.Unlock()
		if hangs {
			<-req.Context().Done()
		}
	}
	others, c := lateness{}, r.caller()
	c.other = others.add
	b.Create(`{"name":"alert","startsOn":{"events":["connection.down","connection.recovered"]}}`)
	id := b.connection(50, 0)
	b.callers(5000)
	b.Exec(`update jobs set attempt_deadline_seconds = 4`)
	b.many(300, `{"type":"log"}`, 4*time.Second)
	b.start(3, c)
	isDown := func() bool {
		return b.Count("select count(*) from connection_states where connection_id = $1 and down_since is not null", id) == 1
	}
	require.Eventually(t, isDown, 20*time.Second, 50*time.Millisecond)
	callsBefore := r.calls.Load()
	require.LessOrEqual(t, callsBefore, int64(100))
	require.Eventually(t, func() bool {
		return b.Count("select count(*) from connection_states where failed_probes > 0") == 1
	}, 20*time.Second, 50*time.Millisecond)
	require.LessOrEqual(t, r.calls.Load()-callsBefore, int64(52), "one at a time tries it")
	mu.Lock()
	isHanging = false
	mu.Unlock()
	require.Eventually(t, func() bool { return others.count() == 300 }, 20*time.Second, 50*time.Millisecond)
	p50, p99 := others.take()
	t.Log("lateness of others while 5,000 runs wait for a host that hangs, p50 and p99:", p50, p99)
	require.Less(t, p50, 500*time.Millisecond)
	require.Less(t, p99, 2*time.Second, "a call hangs for 4 s")
	require.Eventually(t, func() bool { return !isDown() }, 30*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool { return b.Count("select count(*) from due where awaits_worker") == 0 }, 60*time.Second, 100*time.Millisecond)
	require.LessOrEqual(t, r.highest.Load(), int64(50))
	for _, kind := range []string{"connection.down", "connection.recovered"} {
		require.Equal(t, 1, b.Count("select count(*) from event_starts where event ->> 'type' = $1", kind), kind)
	}
}

// A receiver that asks to wait makes all runs of its connection wait, on all instances.
func TestConnectionIsSlowed(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	r.answer = func(w http.ResponseWriter, _ *http.Request) {
		if r.calls.Load() == 10 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}
	b.connection(1, 50)
	b.callers(20)
	b.start(2, r.caller())
	require.Eventually(t, func() bool { return b.Count("select count(*) from runs where status = 'SUCCEEDED'") == 20 }, 20*time.Second, 50*time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	require.GreaterOrEqual(t, r.begun[10].Sub(r.begun[9]), 1900*time.Millisecond)
}

// Occurrences that came due while no instance lived are missed; those that waited for a limit are
// not.
func TestWaitingForConnectionIsNotMissed(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	id := b.connection(100, 50)
	b.many(2, crm, -5*time.Minute)
	p := b.poller(r.caller(), poller.Config{})
	n, err := p.Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, 2, b.Count("select count(*) from runs where reason = 'MISFIRE'"))

	b.many(2, crm, -5*time.Minute)
	b.Exec(`update connection_states set served_since = now() - interval '1 hour', served_at = now() where connection_id = $1`, id)
	require.Zero(t, b.Count("select count(*) from due where is_late(ready_at, lease_id, awaits_worker, queue)"))
	n, err = p.Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, 2, b.Count("select count(*) from runs where status = 'SUCCEEDED'"))
}
