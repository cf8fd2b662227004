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
