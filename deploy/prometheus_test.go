package deploy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/need"
)

// within is how long to wait for what takes some scrapes. Each metric of the database is up to five
// seconds old.
const within = 60 * time.Second

// prometheus is a running Prometheus that scrapes instances each second.
type prometheus struct{ url string }

// waits matches how long alerts wait until they fire.
var waits = regexp.MustCompile(`(?m)^ +for: .*\n`)

// startPrometheus starts a Prometheus until the test's end. It scrapes instances by their host and
// port, and has the alerts of the service, which fire at once.
func startPrometheus(t *testing.T, flags []string, instances ...string) prometheus {
	t.Helper()
	program := need.Program(t, "prometheus", "prometheus")
	directory := t.TempDir()
	rules := waits.ReplaceAllString(read(t, rulesFile), "")
	require.NoError(t, os.WriteFile(filepath.Join(directory, "rules.yml"), []byte(rules), 0o600))
	targets, err := json.Marshal(instances)
	require.NoError(t, err)
	config := strings.NewReplacer("15s", "1s", `["localhost:3000"]`, string(targets)).Replace(read(t, "prometheus/prometheus.yml"))
	require.Contains(t, config, string(targets))
	require.NoError(t, os.WriteFile(filepath.Join(directory, "prometheus.yml"), []byte(config), 0o600))

	address := freeAddress(t)
	args := slices.Concat(flags, []string{
		"--config.file=" + filepath.Join(directory, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(directory, "data"),
		"--web.listen-address=" + address, "--log.level=warn",
	})
	server := exec.CommandContext(t.Context(), program, args...)
	server.Stdout, server.Stderr = t.Output(), t.Output()
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Wait() }) // the end of the test ends it
	p := prometheus{"http://" + address}
	require.Eventually(t, func() bool {
		answer, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, within, 100*time.Millisecond, "Prometheus starts")
	return p
}

// freeAddress returns an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = socket.Close() }()
	return socket.Addr().String()
}

// sample is a series.
type sample struct{ Metric map[string]string }

// query evaluates an expression now.
func (p prometheus) query(t *testing.T, expression string) []sample {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result []sample }
	}
	p.get(t, "/api/v1/query?query="+url.QueryEscape(expression), &answer)
	require.Equal(t, "success", answer.Status, "%s: %s", expression, answer.Error)
	return answer.Data.Result
}

func (p prometheus) get(t *testing.T, path string, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.NoError(t, json.NewDecoder(answer.Body).Decode(into))
}

// firing reports whether an alert fires.
func (p prometheus) firing(t *testing.T, alert string) bool {
	t.Helper()
	return len(p.query(t, fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing"}`, alert))) > 0
}

// waitFor waits until an alert fires, or no longer does.
func (p prometheus) waitFor(t *testing.T, alert string, fires bool) {
	t.Helper()
	began := time.Now()
	require.Eventually(t, func() bool { return p.firing(t, alert) == fires }, within, 200*time.Millisecond, "%s: %t", alert, fires)
	t.Logf("%s fires: %t, after %s", alert, fires, time.Since(began).Round(100*time.Millisecond))
}
