package maintenance_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/logging"
	"punctual/internal/maintenance"
)

func TestDuty(t *testing.T) {
	t.Parallel()
	away := errors.New("the database is away")

	t.Run("is done at once, regularly, when a pass says so, and soon after a failure", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			began := time.Now()
			var at []time.Duration
			duty := maintenance.Duty{Name: "test", Every: time.Minute, Pass: func(context.Context) (maintenance.Result, error) {
				at = append(at, time.Since(began)/time.Second)
				switch len(at) {
				case 1:
					return maintenance.Result{Count: 1}, nil
				case 2:
					return maintenance.Result{Next: 7 * time.Second}, nil
				case 3, 4:
					return maintenance.Result{}, away
				case 5:
					return maintenance.Result{Next: 9 * time.Second}, errors.New("others are in the way")
				default:
					stop()
					return maintenance.Result{}, nil
				}
			}}
			duty.Run(ctx, slog.New(slog.DiscardHandler))
			require.Equal(t, []time.Duration{0, 60, 67, 68, 70, 79}, at)
		})
	})

	t.Run("waits no longer than usual while it fails, and logs little", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
			defer stop()
			var log bytes.Buffer
			passes := 0
			duty := maintenance.Duty{Name: "test", Every: 5 * time.Second, Pass: func(context.Context) (maintenance.Result, error) {
				passes++
				return maintenance.Result{}, away
			}}
			duty.Run(ctx, logging.New(&log, slog.LevelInfo))
			require.GreaterOrEqual(t, passes, 120, "each 5 s at least")
			require.LessOrEqual(t, strings.Count(log.String(), "\n"), 21, "one line each 30 s at most")
		})
	})
}
