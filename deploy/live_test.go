package deploy_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/metrics"
	"punctual/internal/secrets"
	"punctual/internal/testdb"
)

// instance is a running service.
type instance struct {
	*client.ClientWithResponses
	address string
}

// start runs an instance until the test's end.
func start(t *testing.T, database string) instance {
	t.Helper()
	var keys secrets.Keyring
	require.NoError(t, keys.UnmarshalText([]byte(secrets.GenerateKey(time.Now().UTC()))))
	service, err := app.New(t.Context(), app.Config{
		Host: "127.0.0.1", Database: app.DatabaseConfig{URL: database}, SecretKeys: keys,
	}, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	api, err := client.NewClientWithResponses(service.URL())
	require.NoError(t, err)
	return instance{api, strings.TrimPrefix(service.URL(), "http://")}
}

// post sends a request with a body, and returns the answer, which is to have a status.
func (i instance) post(t *testing.T, method, path, body string, status int) (answer map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+i.address+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.Equal(t, status, got.StatusCode, "%s %s: %s", method, path, text)
	if len(text) > 0 {
		require.NoError(t, json.Unmarshal(text, &answer))
	}
	return answer
}

// work leases a run of a queue and reports its end: "complete" or "fail".
func (i instance) work(t *testing.T, queue, end, body string) {
	t.Helper()
	lease := i.post(t, http.MethodPost, "/api/v1/queues/"+queue+"/leases", `{"waitSeconds": 20}`, http.StatusOK)
	run := lease["runs"].([]any)[0].(map[string]any)
	token, _ := json.Marshal(run["token"]) // a text: cannot fail
	i.post(t, http.MethodPost, "/api/v1/runs/"+run["id"].(string)+"/"+end,
		strings.Replace(body, "{", `{"token": `+string(token), 1), http.StatusNoContent)
}

// mayBeEmpty matches queries that show only what is wrong, or what this test does not do.
var mayBeEmpty = regexp.MustCompile(`> 0$|== 1$`)

// A real Prometheus scrapes two instances: it gets every metric, every panel of the dashboard has
// something to show, and the alerts fire and stop. It is not parallel, since each part goes on
// where the one before has ended.
func TestPrometheus(t *testing.T) {
	database := testdb.New(t)
	pool, err := pgxpool.New(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	binary := build(t)
	service, other := start(t, database), startProcess(t, binary, database, "0")
	p := startPrometheus(t, nil, service.address, other.address)

	jobs := "/api/v1/jobs"
	service.post(t, http.MethodPost, "/api/v1/connections", `{"key": "crm", "baseUrl": "https://crm.example.com"}`, http.StatusCreated)
	service.post(t, http.MethodPost, jobs, `{"name": "beat", "key": "beat", "intervalInSeconds": 1, "metrics": true,
		"expectSuccessWithinSeconds": 3600}`, http.StatusCreated)
	service.post(t, http.MethodPost, jobs, `{"name": "after", "startsOn": {"events": ["run.succeeded"], "jobs": {"keys": ["beat"]}}}`, http.StatusCreated)
	service.post(t, http.MethodPost, jobs, `{"name": "mail", "key": "mail", "onDemand": true, "maxAttempts": 1,
		"target": {"type": "worker", "queue": "mail"}}`, http.StatusCreated)
	id := service.post(t, http.MethodGet, jobs+"/by-key/mail", "", http.StatusOK)["id"].(string)

	t.Run("both instances are up, and every metric is there", func(t *testing.T) {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			up := p.query(t, `up{job="punctual"} == 1`)
			assert.Len(c, up, 2)
			for _, m := range metrics.New(metrics.Config{}).All() {
				name := m.Name
				if m.Kind == metrics.Histogram || m.Kind == metrics.NativeHistogram {
					name += "_bucket"
				}
				if !strings.HasPrefix(name, "punctual_queue_") { // of queues that have runs or workers
					assert.NotEmpty(c, p.query(t, name), "%s", m.Name)
				}
			}
		}, within, time.Second)
	})

	t.Run("another Prometheus gets native histograms", func(t *testing.T) {
		native := startPrometheus(t, []string{"--enable-feature=native-histograms"}, service.address)
		for _, m := range metrics.New(metrics.Config{}).All() {
			if m.Kind == metrics.NativeHistogram {
				require.Eventually(t, func() bool {
					return len(native.query(t, `histogram_quantile(0.5, sum(rate(`+m.Name+`{target="log"}[1m]))) >= 0`)) > 0
				}, within, time.Second, "the native form of %s", m.Name)
			}
		}
	})

	t.Run("a queue is stuck", func(t *testing.T) {
		service.post(t, http.MethodPost, jobs+"/"+id+"/run", "{}", http.StatusAccepted)
		_, err := pool.Exec(t.Context(), `
			update due set scheduled_for = scheduled_for - interval '10 minutes', ready_at = ready_at - interval '10 minutes'
			where awaits_worker`)
		require.NoError(t, err)
		p.waitFor(t, "PunctualQueueStuck", true)
		for _, query := range queries(t) {
			if found := p.query(t, query); !mayBeEmpty.MatchString(query) {
				assert.NotEmpty(t, found, "a panel has nothing to show: %s", query)
			}
		}
		service.work(t, "mail", "complete", `{}`)
		p.waitFor(t, "PunctualQueueStuck", false)
	})

	t.Run("a job fails", func(t *testing.T) {
		require.False(t, p.firing(t, "PunctualJobsFail"))
		service.post(t, http.MethodPost, jobs+"/"+id+"/run", "{}", http.StatusAccepted)
		service.work(t, "mail", "fail", `{, "error": "the printer is on fire"}`)
		p.waitFor(t, "PunctualJobsFail", true)
		service.post(t, http.MethodPost, jobs+"/"+id+"/run", "{}", http.StatusAccepted)
		service.work(t, "mail", "complete", `{}`)
		p.waitFor(t, "PunctualJobsFail", false)
	})

	t.Run("an instance is killed", func(t *testing.T) {
		require.False(t, p.firing(t, "PunctualInstanceDown"))
		other.kill(t)
		p.waitFor(t, "PunctualInstanceDown", true)
		require.False(t, p.firing(t, "PunctualNoInstance"), "one goes on")
		_, port, err := net.SplitHostPort(other.address)
		require.NoError(t, err)
		startProcess(t, binary, database, port)
		p.waitFor(t, "PunctualInstanceDown", false)
	})
}
