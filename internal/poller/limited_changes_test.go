package poller_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/enginetest"
)

// A lower limit holds at most a second after it was set, also for rows that were claimed ahead.
func TestLowerLimitOfAConnection(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	id := b.connection(100, 50)
	b.callers(1000)
	b.start(2, r.caller())
	require.Eventually(t, func() bool { return r.calls.Load() >= 50 }, 10*time.Second, 5*time.Millisecond)
	b.Exec(`update connections set max_per_second = 1 where id = $1`, id)
	changed := time.Now()
	before := r.calls.Load()
	after := func() (n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, at := range r.begun {
			if at.After(changed.Add(2 * time.Second)) { // one of them for what a busy machine does late
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return after() >= 3 }, 20*time.Second, 10*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(changed), 3500*time.Millisecond)
	require.Less(t, r.calls.Load()-before, int64(80), "a second of the limit before, and some")
}

// A run that waits goes with its job to another connection, and one in flight stays where it is
// until it is tried again. A canceled run and one of a deleted job end, although their connection
// is full.
func TestWaitingRunsOfChangedJobs(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	hang := make(chan struct{})
	r.answer = func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-hang:
		case <-req.Context().Done():
		}
	}
	b.connection(1, 0)
	b.connectionAs("erp", 1, 0)
	onDemand := func() uuid.UUID {
		return b.Create(`{"name":"calls","onDemand":true,"target":{"type":"http","connection":"crm","path":"/"}}`).Job.ID
	}
	inFlight, moved, canceled, deleted := onDemand(), onDemand(), onDemand(), onDemand()
	b.Start(inFlight, "")
	b.start(2, r.caller())
	require.Eventually(t, func() bool { return r.calls.Load() == 1 }, 10*time.Second, 5*time.Millisecond)
	b.Start(moved, "")
	b.Start(deleted, "")
	run := b.Start(canceled, "")
	for _, job := range []uuid.UUID{inFlight, moved} {
		b.Edit(job, `{"target":{"type":"http","connection":"erp","path":"/"}}`)
	}
	require.Eventually(t, func() bool { return r.calls.Load() == 2 }, 10*time.Second, 5*time.Millisecond, "the other connection has a place")
	require.Equal(t, 1, b.Count(`select count(*) from due where job_id = $1 and queue = 'default/=crm'`, inFlight))
	b.Cancel(enginetest.IDOf(run))
	b.Delete(deleted)
	require.Eventually(t, func() bool {
		return b.Count(`select count(*) from runs where job_id = any($1) and status <> 'SUCCEEDED'`, []uuid.UUID{canceled, deleted}) == 2
	}, 20*time.Second, 50*time.Millisecond)
	require.EqualValues(t, 2, r.calls.Load())
	close(hang)
	require.Eventually(t, func() bool { return b.Count(`select count(*) from due`) == 0 }, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, 2, b.Count(`select count(*) from runs where job_id = any($1) and status = 'SUCCEEDED'`, []uuid.UUID{inFlight, moved}))
}
