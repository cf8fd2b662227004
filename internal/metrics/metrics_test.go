package metrics_test

import (
	"flag"
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

var update = flag.Bool("update", false, "write the table in docs/metrics.md")

const (
	docs  = "../../docs/metrics.md"
	begin = "<!-- generated: begin -->\n"
	end   = "<!-- generated: end -->\n"
)

// The table in the docs is that of the code.
func TestTableIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(docs)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok, "%s has the place for the table", docs)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s has the end of the table", docs)
	want := before + begin + metrics.New(metrics.Config{}).Table() + end + after
	if *update {
		require.NoError(t, os.WriteFile(docs, []byte(want), 0o600))
		return
	}
	require.Equal(t, want, string(text), "run go test ./internal/metrics -update")
}

// Names are as Prometheus wants them, none is used twice, and what they mean is said in sentences.
func TestNames(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^punctual(_[a-z]+)+$`)
	seen := map[string]bool{}
	for _, m := range metrics.New(metrics.Config{}).All() {
		assert.Regexp(t, name, m.Name)
		assert.False(t, seen[m.Name], "%s is there once", m.Name)
		seen[m.Name] = true
		assert.Equal(t, m.Kind == metrics.Counter, strings.HasSuffix(m.Name, "_total"), "%s: counters are totals", m.Name)
		assert.True(t, strings.HasSuffix(m.Help, "."), "%s: %s", m.Name, m.Help)
		for _, label := range m.Labels {
			assert.NotContains(t, []string{"job", "instance", "le"}, label, "%s: Prometheus has a label of this name", m.Name)
		}
	}
}

func TestPromtoolFindsNothing(t *testing.T) {
	t.Parallel()
	promtool := need.Program(t, "prometheus", "promtool")
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t, metrics.New(metrics.Config{})))
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}
