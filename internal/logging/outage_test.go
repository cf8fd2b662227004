package logging_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/logging"
)

func TestOutage(t *testing.T) {
	t.Parallel()
	away := errors.New("the database is away")

	t.Run("is reported at its start, now and then, and at its end", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			o := logging.Outage{Logger: logging.New(&log, slog.LevelInfo), Failing: "cannot look", Working: "can look again"}
			o.Worked(t.Context())
			require.Empty(t, log.String(), "a loop that works says nothing")
			for began := time.Now(); time.Since(began) < 5*time.Minute; {
				<-time.After(o.Failed(t.Context(), away))
			}
			o.Worked(t.Context())
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			require.LessOrEqual(t, len(lines), 2+10, "the first failure, the recovery, and a line every 30 s")
			require.GreaterOrEqual(t, len(lines), 2+8)
			require.Contains(t, lines[0], `"cannot look"`)
			require.Contains(t, lines[0], `"failures":1`)
			require.Contains(t, lines[len(lines)-1], `"can look again"`)

			log.Reset()
			o.Failed(t.Context(), away)
			require.Contains(t, log.String(), `"failures":1`, "the next outage is reported at once")
		})
	})

	t.Run("makes the loop wait longer and longer", func(t *testing.T) {
		t.Parallel()
		o := logging.Outage{Logger: slog.New(slog.DiscardHandler), MaxDelay: 5 * time.Second}
		for _, seconds := range []time.Duration{1, 2, 4, 5, 5} {
			require.Equal(t, seconds*time.Second, o.Failed(t.Context(), away))
		}
		o.Worked(t.Context())
		require.Equal(t, time.Second, o.Failed(t.Context(), away), "a new outage begins with a short wait")
	})
}
