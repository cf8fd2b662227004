package stats

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each duration is in the bucket whose middle is at most 4 % off.
func TestBuckets(t *testing.T) {
	t.Parallel()
	for d := smallest; d < 10*24*time.Hour; d += d/50 + 1 {
		require.InEpsilon(t, milliseconds(d), middleOf(bucketOf(d)), 0.04, "%s is in bucket %d", d, bucketOf(d))
	}
	require.Equal(t, 0, bucketOf(0))
	require.Equal(t, buckets-1, bucketOf(365*24*time.Hour))
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	var none counts
	require.Nil(t, none.quantiles(unknown))
	for _, n := range []int{1, 2, 3, 99, 100, 101, 5000} {
		var c counts
		var h histogram
		var all []time.Duration
		for range n {
			d := time.Duration(float64(time.Millisecond) * rand.ExpFloat64() * 100)
			all = append(all, max(d, smallest))
			h.add(d)
		}
		for _, b := range h {
			c[b.bucket] += int64(b.count)
		}
		slices.Sort(all)
		q := c.quantiles(all[n-1])
		for _, of := range []struct {
			part, got float64
		}{{0.5, q.P50}, {0.95, q.P95}, {0.99, q.P99}, {1, q.Max}} {
			rank := int(of.part * float64(n))
			from, to := milliseconds(all[max(0, rank-1)]), milliseconds(all[min(n-1, rank)])
			require.True(t, of.got > from*0.95 && of.got < to*1.05, "%v of %d: %v is between %v and %v", of.part, n, of.got, from, to)
		}
	}
	var exact counts
	exact[0] = 3
	require.Zero(t, *exact.quantiles(0), "nothing is more than the maximum")
}
