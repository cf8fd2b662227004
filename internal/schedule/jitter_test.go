package schedule_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

// jobID is the n-th of ids that differ in their last bytes only, as those made at the same time do.
func jobID(n int) (id [16]byte) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func TestJitterAndSeedStayTheSame(t *testing.T) {
	t.Parallel()
	// Jobs are stored somewhere: what they hash to must never change.
	require.Equal(t, 32_414_515*time.Microsecond, schedule.Jitter(jobID(1), 60))
	require.Equal(t, uint64(0x7bdc61a85e2e79), schedule.Seed(jobID(1)))
}

func TestJitterIsWithinItsBoundAndEven(t *testing.T) {
	t.Parallel()
	const jobs, seconds = 20_000, 10
	var tenths [10]int
	for n := range jobs {
		jitter := schedule.Jitter(jobID(n), seconds)
		require.True(t, jitter >= 0 && jitter < seconds*time.Second, jitter)
		require.Zero(t, jitter%time.Microsecond)
		tenths[jitter/time.Second]++
	}
	for _, n := range tenths {
		require.InDelta(t, jobs/10, n, jobs/100)
	}
}

func TestJitterOfExtremeBounds(t *testing.T) {
	t.Parallel()
	require.Zero(t, schedule.Jitter(jobID(1), 0))
	require.Zero(t, schedule.Jitter(jobID(1), -1))
	require.Less(t, schedule.Jitter(jobID(1), 1), time.Second)
	for n := range 1000 {
		require.GreaterOrEqual(t, schedule.Jitter(jobID(n), math.MaxInt64), time.Duration(0), "no overflow")
	}
}

func TestSeedsDiffer(t *testing.T) {
	t.Parallel()
	seeds := map[uint64]bool{}
	for n := range 10_000 {
		seeds[schedule.Seed(jobID(n))] = true
	}
	require.Len(t, seeds, 10_000)
}
