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
		require.Equal(t, anchor.Add(c.want), grid.Next(anchor.Add(c.from)), c.name)
	}
}

func TestLastIsNotAfterAndOnTheGrid(t *testing.T) {
	t.Parallel()
	grid := schedule.NewInterval(anchor, 10)
	require.Equal(t, anchor, grid.Last(anchor.Add(-time.Second)), "before the anchor")
	require.Equal(t, anchor.Add(20*time.Second), grid.Last(anchor.Add(20*time.Second)), "on an instant")
	require.Equal(t, anchor.Add(20*time.Second), grid.Last(anchor.Add(29*time.Second)), "between")
}

func TestAdvanceDoesNotDrift(t *testing.T) {
	t.Parallel()
	grid := schedule.NewInterval(anchor, 10)
	next, missed := grid.Advance(anchor.Add(10*time.Second), anchor.Add(13*time.Second))
	require.Equal(t, anchor.Add(20*time.Second), next)
	require.Zero(t, missed)
}

func TestAdvanceKeepsWhatIsALittleLate(t *testing.T) {
	t.Parallel()
	grid := schedule.NewInterval(anchor, 1)
	next, missed := grid.Advance(anchor.Add(time.Second), anchor.Add(2*time.Second+schedule.MisfireAfter))
	require.Equal(t, anchor.Add(2*time.Second), next)
	require.Zero(t, missed)
}

func TestAdvanceCountsWhatIsTooLate(t *testing.T) {
	t.Parallel()
	grid := schedule.NewInterval(anchor, 1)
	next, missed := grid.Advance(anchor.Add(time.Second), anchor.Add(time.Hour))
	require.Equal(t, anchor.Add(time.Hour+time.Second), next)
	require.Equal(t, 3599, missed, "seconds 2 to 3600")
}
