package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// receiver is the target of a queue. It counts how often each payload arrives.
type receiver struct {
	url  string
	port uint16

	mu      sync.Mutex
	arrived map[string]int
	// first is closed when a hundred payloads have arrived.
	first chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{arrived: map[string]int{}, first: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.arrived[string(body)]++; len(r.arrived) == 100 && r.arrived[string(body)] == 1 {
			close(r.first)
		}
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	require.NoError(t, err)
	r.url, r.port = server.URL, uint16(port)
	return r
}

// times returns how often a payload has arrived.
func (r *receiver) times(payload string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.arrived[payload]
}

// reaching configures an instance so that it reaches the receiver.
func (r *receiver) reaching(c app.Config) app.Config {
	c.OutboundAllowCIDRs, c.OutboundAllowPorts = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []uint16{r.port}
	return c
}

// queueOf creates a job on demand that calls the receiver.
func (r *receiver) queueOf(t *testing.T, service instance) uuid.UUID {
	t.Helper()
	return service.create(t, `{"name":"queue","onDemand":true,"target":{"type":"http","url":"`+r.url+`"}}`).Id
}

func payloadOf(n int) string { return fmt.Sprintf(`{"n":%d,"big":12345678901234567890.10}`, n) }

// ask starts runs of a job, each with a payload of its own.
func (i instance) ask(t *testing.T, job uuid.UUID, runs int) {
	t.Helper()
	var askers errgroup.Group
	askers.SetLimit(16)
	for n := range runs {
		askers.Go(func() error {
			got, err := i.RunJobWithResponse(t.Context(), job, nil, client.RunStart{Payload: json.RawMessage(payloadOf(n))})
			if err == nil && got.StatusCode() != http.StatusAccepted {
				err = fmt.Errorf("answered %d: %s", got.StatusCode(), got.Body)
			}
			return err
		})
	}
	require.NoError(t, askers.Wait())
}

// A thousand runs with a payload each arrive once each.
func TestQueueOfHTTPCalls(t *testing.T) {
	t.Parallel()
	const runs = 1000
	r, database := newReceiver(t), testdb.New(t)
	service := start(t, r.reaching(app.Config{Database: app.DatabaseConfig{URL: database}}))
	job := r.queueOf(t, service)
	began := time.Now()
	service.ask(t, job, runs)
	asked := time.Since(began)
	pool := connect(t, database)
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from runs where status = 'SUCCEEDED' and payload is not null`) == runs
	}, time.Minute, 50*time.Millisecond, "all have ended")
	t.Logf("%d runs were started in %v and had ended after %v", runs, asked, time.Since(began))
	for n := range runs {
		require.Equal(t, 1, r.times(payloadOf(n)), "payload %d", n)
	}
	require.EqualValues(t, runs, service.getJob(t, job).RunCount)
}

// Nothing is lost if the instance that executes is killed between the start of runs and their end.
func TestQueueSurvivesAKill(t *testing.T) {
	t.Parallel()
	const runs = 500
	r, database := newReceiver(t), testdb.New(t)
	service := start(t, r.reaching(app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: database}}))
	job := r.queueOf(t, service)
	service.ask(t, job, runs)
	path, err := buildCommand()
	require.NoError(t, err)
	victim := exec.CommandContext(context.WithoutCancel(t.Context()), path, "serve", "--port=0")
	victim.Dir = t.TempDir() // it has no .env
	victim.Env = append(victim.Environ(), "DATABASE_URL="+database, "OUTBOUND_ALLOW_CIDRS=127.0.0.0/8", fmt.Sprintf("OUTBOUND_ALLOW_PORTS=%d", r.port))
	require.NoError(t, victim.Start())
	t.Cleanup(func() { _ = victim.Process.Kill() })
	select {
	case <-r.first:
	case <-time.After(30 * time.Second):
		require.Fail(t, "it executes runs")
	}
	require.NoError(t, victim.Process.Kill())
	_ = victim.Wait() // killed
	pool := connect(t, database)
	left := count(t, pool, `select count(*) from due`)
	t.Logf("%d of %d runs are left when it is killed", left, runs)

	start(t, r.reaching(app.Config{Database: app.DatabaseConfig{URL: database}}))
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from runs where status = 'SUCCEEDED'`) == runs
	}, time.Minute, 50*time.Millisecond, "all have ended")
	twice := 0
	for n := range runs {
		require.Positive(t, r.times(payloadOf(n)), "payload %d has arrived", n)
		twice += r.times(payloadOf(n)) - 1
	}
	require.LessOrEqual(t, twice, count(t, pool, `select count(*) from runs where attempt > 1`), "only what it held arrives twice")
	require.Zero(t, count(t, pool, `select count(*) from due`))
}

func (i instance) runWith(t *testing.T, path, body string, more http.Header) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name := range more {
		request.Header.Set(name, more.Get(name))
	}
	got, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	return got.StatusCode, string(text)
}

func TestRunJobWithABody(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"x","onDemand":true,"target":{"type":"worker","queue":"q"}}`)
	require.Nil(t, job.NextRunAt)
	path := "/api/v1/jobs/" + job.Id.String() + "/run"
	for _, c := range []struct {
		query, body string
		status      int
		contains    string
	}{
		{"", "", http.StatusAccepted, `"waitingFor":"WORKER"`},
		{"", "{}", http.StatusAccepted, `"causedBy":null`},
		{"", `{"payload":null}`, http.StatusAccepted, `"payload":null`},
		{"", `{"payload":{"a":1.0}}`, http.StatusAccepted, `"payload":{"a":1.0}`},
		{"", `{"startAt":"2040-01-31T09:30:00Z"}`, http.StatusAccepted, `"scheduledFor":"2040-01-31T09:30:00.000000Z"`},
		{"?overlapPolicy=SKIP", `{"overlapPolicy":"SKIP"}`, http.StatusBadRequest, `"field":"overlapPolicy"`},
		{"", `{"overlapPolicy":"SKIP","startAt":"2040-01-31T09:30:00Z"}`, http.StatusBadRequest, `"code":"conflicting"`},
		{"", `{"startAt":"2020-01-31T09:30:00Z"}`, http.StatusBadRequest, `"code":"in-the-past"`},
		{"", `{"unknown":1}`, http.StatusBadRequest, `"field":"unknown"`},
		{"", `{"payload":"` + strings.Repeat("a", 2<<20) + `"}`, http.StatusRequestEntityTooLarge, `body-too-large`},
	} {
		status, answer := service.runWith(t, path+c.query, c.body, nil)
		require.Equal(t, c.status, status, "%s: %s", c.body[:min(len(c.body), 100)], answer)
		require.Contains(t, answer, c.contains)
	}
	leased := service.lease(t, "q", `{"maxRuns":10}`)
	require.Len(t, leased.Runs, 4)
	require.Equal(t, `{"a":1.0}`, string(leased.Runs[3].Payload), "a worker gets it")

	key := http.Header{"Idempotency-Key": {"order-1"}}
	before := count(t, pool, `select count(*) from due`)
	_, first := service.runWith(t, path, `{"payload":1}`, key)
	_, again := service.runWith(t, path, `{"payload":1}`, key)
	require.Equal(t, first, again)
	status, _ := service.runWith(t, path, `{"payload":2}`, key)
	require.Equal(t, http.StatusUnprocessableEntity, status, "the key is for this body")
	require.Equal(t, before+1, count(t, pool, `select count(*) from due`))
}
