// Package deploy_test tests what operators copy: alerts and a dashboard.
package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/metrics"
	"punctual/internal/testdb/need"
)

const (
	rulesFile     = "prometheus/rules.yml"
	rulesTestFile = "prometheus/rules_test.yml"
	dashboardFile = "grafana/dashboard.json"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), need.Program(t, "prometheus", "promtool"), args...).CombinedOutput()
	require.NoError(t, err, "promtool %s: %s", strings.Join(args, " "), out)
}

func TestPromtoolFindsNothing(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "config", "prometheus/prometheus.yml")
	promtool(t, "check", "rules", "--lint-fatal", rulesFile)
	promtool(t, "test", "rules", rulesTestFile)
}

var alertName = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)

// Each alert is shown to fire by the test of promtool.
func TestEachAlertIsTested(t *testing.T) {
	t.Parallel()
	tests := read(t, rulesTestFile)
	alerts := alertName.FindAllStringSubmatch(read(t, rulesFile), -1)
	require.NotEmpty(t, alerts)
	for _, alert := range alerts {
		assert.Contains(t, tests, `alertname="`+alert[1]+`"`)
	}
}

var metricName = regexp.MustCompile(`punctual_[a-z_]+`)

// Alerts and panels use metrics that there are, and every metric has a panel.
func TestMetricsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, m := range metrics.New(metrics.Config{}).All() {
		known[m.Name] = true
	}
	used := map[string]bool{}
	texts := append(queries(t), read(t, rulesFile), read(t, rulesTestFile))
	for _, name := range metricName.FindAllString(strings.Join(texts, "\n"), -1) {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		assert.True(t, known[base], "there is no metric %s", name)
		used[base] = true
	}
	for name := range known {
		assert.True(t, used[name], "neither an alert nor a panel shows %s", name)
	}
}

// queries returns the queries of the dashboard, as Grafana sends them for a range of some minutes.
func queries(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard))
	fill := strings.NewReplacer("$__rate_interval", "1m", "$job", ".+")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			require.NotEmpty(t, target.Expr, panel.Title)
			all = append(all, fill.Replace(target.Expr))
		}
	}
	require.NotEmpty(t, all)
	return all
}
