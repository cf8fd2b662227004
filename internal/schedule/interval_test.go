package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

var anchor = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestNextIsAfterAndOnTheGrid(t *testing.T) {
	t.Parallel()
	grid := schedule.NewInterval(anchor, 10)
	for _, c := range []struct {
		name       string
		from, want time.Duration
	}{
		{"before the anchor", -time.Hour, 10 * time.Second},
		{"at the anchor", 0, 10 * time.Second},
		{"between", 14 * time.Second, 20 * time.Second},
		{"on an instant", 20 * time.Second, 30 * time.Second},
		{"just before an instant", 20*time.Second - time.Microsecond, 20 * time.Second},
	} {
		next, ok := grid.Next(anchor.Add(c.from))
		require.True(t, ok)
		require.Equal(t, anchor.Add(c.want), next, c.name)
	}
}

func TestLastIsNotAfterAndOnTheGrid(t *testing.T) {
	t.Parallel()
	grid := schedule.NewInterval(anchor, 10)
	require.Equal(t, anchor, grid.Last(anchor.Add(-time.Second)), "before the anchor")
	require.Equal(t, anchor.Add(20*time.Second), grid.Last(anchor.Add(20*time.Second)), "on an instant")
	require.Equal(t, anchor.Add(20*time.Second), grid.Last(anchor.Add(29*time.Second)), "between")
}

// A time.Duration holds 292 years, a grid more.
func TestIntervalIsExactOverCenturies(t *testing.T) {
	t.Parallel()
	begin := time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)
	grid := schedule.NewInterval(begin, 60)
	next, ok := grid.Next(anchor)
	require.True(t, ok)
	require.Equal(t, anchor.Add(time.Microsecond), next)
	require.Equal(t, next.Add(-time.Minute), grid.Last(anchor))
	count, last := schedule.Schedule{Grid: grid}.Between(begin, anchor)
	require.EqualValues(t, (anchor.Unix()-begin.Unix())/60-1, count)
	require.Equal(t, next.Add(-time.Minute), last)
}
