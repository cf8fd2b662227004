package app_test

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
)

func TestTuneMemory(t *testing.T) { // not parallel: it sets the limits of this process
	before := debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(before)
		debug.SetGCPercent(percent)
	})
	t.Setenv("GOMEMLIMIT", "1GiB")
	t.Setenv("GOGC", "100")
	app.TuneMemory()
	require.Equal(t, before, debug.SetMemoryLimit(-1), "the environment has priority")
	require.Equal(t, 100, debug.SetGCPercent(100), "the environment has priority")

	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	app.TuneMemory()
	limit := debug.SetMemoryLimit(-1)
	require.Less(t, limit, int64(math.MaxInt64), "there is a limit")
	require.Greater(t, limit, int64(64<<20))
	require.Equal(t, 400, debug.SetGCPercent(100))
}
