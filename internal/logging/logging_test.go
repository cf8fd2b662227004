package logging_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/logging"
)

func TestLinesAreReadable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logging.New(&out, slog.LevelInfo).Info("run", "took", 1500*time.Millisecond,
		"jobName", "a\u202eb\u009b2J", "error", errors.New("said \x7f"))
	require.Contains(t, out.String(), `"took":"1.5s"`)
	require.Contains(t, out.String(), `"jobName":"a\\u202eb\\u009b2J"`)
	require.Contains(t, out.String(), `"error":"said \\u007f"`)
}

// Keys and tokens that clients send where they do not belong are not logged.
func TestLinesHaveNoCredentials(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logging.New(&out, slog.LevelInfo).Info("request punc_a_hush", "path", "/jobs/punc_abc_hush",
		"error", errors.New("no job eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.hush"))
	require.NotContains(t, out.String(), "hush")
	require.Contains(t, out.String(), `"path":"/jobs/punc_abc_***"`)
	require.Contains(t, out.String(), `"error":"no job eyJ***"`)
}
