package poller_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"punctual/internal/access"
	"punctual/internal/executor"
	"punctual/internal/lease"
	"punctual/internal/poller"
)

// receiver is a service that runs call over HTTP. It counts the calls.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	begun   []time.Time
	byJob   map[string][]time.Time
	calls   atomic.Int64
	atOnce  atomic.Int64
	highest atomic.Int64
	// answer answers a call. Set it before the first one.
	answer func(w http.ResponseWriter, r *http.Request)
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{byJob: map[string][]time.Time{}, answer: func(http.ResponseWriter, *http.Request) {}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		now := time.Now()
		atOnce := r.atOnce.Add(1)
		defer r.atOnce.Add(-1)
		r.mu.Lock()
		r.begun = append(r.begun, now)
		r.byJob[req.Header.Get("Job")] = append(r.byJob[req.Header.Get("Job")], now)
		r.mu.Unlock()
		r.calls.Add(1)
		for highest := r.highest.Load(); atOnce > highest && !r.highest.CompareAndSwap(highest, atOnce); {
			highest = r.highest.Load()
		}
		r.answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

// perSecond returns how many calls began in each whole second between the first and the last call,
// without the first and the last second.
func (r *receiver) perSecond() (counts []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.begun[0]
	counts = make([]int, int(r.begun[len(r.begun)-1].Sub(first)/time.Second)+1)
	for _, at := range r.begun {
		counts[int(at.Sub(first)/time.Second)]++
	}
	return counts[1 : len(counts)-1]
}

// caller calls a receiver for the runs of connections, and does nothing for others.
type caller struct {
	url    string
	client *http.Client
	// other is told of each run that calls no connection.
	other func(executor.Run)
}

func (c caller) Execute(ctx context.Context, run executor.Run) (*executor.Result, error) {
	if string(run.Definition) == `{"type":"log"}` {
		if c.other != nil {
			c.other(run)
		}
		return nil, nil //nolint:nilnil // as the interface allows
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Job", run.JobID.String())
	resp, err := c.client.Do(req)
	if err != nil {
		return &executor.Result{}, &executor.Failure{Err: err, IsUnreachable: true}
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	result := &executor.Result{StatusCode: resp.StatusCode}
	if resp.StatusCode != http.StatusOK {
		failure := &executor.Failure{Err: fmt.Errorf("answered %d", resp.StatusCode)}
		if resp.StatusCode == http.StatusTooManyRequests {
			failure.RetryAfter = 2 * time.Second
		}
		return result, failure
	}
	return result, nil
}

// lateness collects how late runs begin. The zero value has none.
type lateness struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *lateness) add(run executor.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, time.Since(run.ScheduledFor))
}

func (l *lateness) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// take returns how late half of the runs, and 99 of 100, were at most, and forgets them.
func (l *lateness) take() (p50, p99 time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.all)
	p50, p99 = l.all[len(l.all)/2], l.all[len(l.all)*99/100]
	l.all = nil
	return p50, p99
}

func (r *receiver) caller() caller {
	return caller{url: r.URL, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
}

// crm is a target that calls the connection crm.
const crm = `{"type":"http","connection":"crm","path":"/"}`

// connection stores the connection crm and returns its id. maxPerSecond is null if it is zero.
func (b bench) connection(maxConcurrency, maxPerSecond int) uuid.UUID {
	b.T.Helper()
	return b.connectionAs("crm", maxConcurrency, maxPerSecond)
}

func (b bench) connectionAs(key string, maxConcurrency, maxPerSecond int) uuid.UUID {
	b.T.Helper()
	id := uuid.Must(uuid.NewV7())
	b.Exec(`insert into connections (id, namespace, key, base_url, definition, max_concurrency, max_per_second, is_adaptive, updated_by)
		values ($1, $2, $3, 'https://example.com', '{}', $4, nullif($5, 0), true, 'test')`,
		id, access.DefaultNamespace, key, maxConcurrency, maxPerSecond)
	b.Exec(`insert into connection_states (connection_id) values ($1)`, id)
	return id
}

func callsCRM(p *newJob) { p.Target = []byte(crm) }

// callers makes jobs that call the connection, of which each is due once, now.
func (b bench) callers(n int) {
	b.T.Helper()
	b.many(n, crm, 0)
}

// many makes jobs of one instant, a while from now on.
func (b bench) many(n int, target string, after time.Duration) {
	b.T.Helper()
	b.Exec(`create table if not exists test_many (id uuid)`)
	b.Exec(`truncate test_many`)
	b.Exec(`insert into test_many select gen_random_uuid() from generate_series(1, $1::integer)`, n)
	b.Exec(`insert into jobs (id, namespace, updated_by, name, payload, target, run_at, jitter_seconds,
			delete_after_completion, misfire_policy, overlap_policy, max_attempts, min_backoff_seconds,
			max_backoff_seconds, attempt_deadline_seconds, run_history, status, created_at, updated_at)
		select id, 'default', 'test', 'job', 'null', $1::json, now() + $2, 0, false, 'SKIP', 'SKIP', 100, 1, 1,
			5, 'ALL', 'ACTIVE', now(), now() from test_many`, target, after)
	b.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, queue, awaits_worker)
		select j.id, j.run_at, j.run_at, true, j.qualified_queue, j.qualified_queue is not null
		from jobs j join test_many m on m.id = j.id`)
}

// instance is a poller that runs until stop is called.
type instance struct {
	*poller.Poller
	stop func()
}

// start runs instances until the test ends.
func (b bench) start(n int, e executor.Executor) (all []instance) {
	b.T.Helper()
	for range n {
		c := poller.Config{Lease: lease.NewKeeper(lease.Config{Queries: b.Queries, Duration: 9 * time.Second}), Events: b.Events}
		p := b.poller(e, c)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { c.Lease.Run(ctx) })
		running.Go(func() { p.Run(ctx) })
		stop := sync.OnceFunc(func() {
			cancel()
			running.Wait()
			drained, giveUp := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer giveUp()
			_ = p.Drain(drained)
		})
		b.T.Cleanup(stop)
		all = append(all, instance{p, stop})
	}
	return all
}
