package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

func TestWithout(t *testing.T) {
	t.Parallel()
	anchor := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return anchor.Add(time.Duration(minutes) * time.Minute) }
	w := schedule.Without{Grid: schedule.NewInterval(anchor, 600), From: at(20), Until: at(40)}
	for after, want := range map[int]int{0: 10, 9: 10, 10: 50, 25: 50, 40: 50, 50: 60} {
		next, ok := w.Next(at(after))
		require.True(t, ok)
		require.Equal(t, at(want), next, "after %d minutes", after)
	}
	_, ok := schedule.Without{Grid: schedule.Once{At: at(30)}, From: at(20), Until: at(40)}.Next(at(0))
	require.False(t, ok)
}
