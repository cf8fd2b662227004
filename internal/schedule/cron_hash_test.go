package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

// nexts returns the first n occurrences of 2026.
func nexts(t *testing.T, expression string, seed uint64, n int) []time.Time {
	t.Helper()
	cron, err := schedule.ParseCron(expression, time.UTC, seed)
	require.NoError(t, err, expression)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-1)
	var all []time.Time
	for range n {
		next, ok := cron.Next(at)
		require.True(t, ok)
		all = append(all, next)
		at = next
	}
	return all
}

func TestHashedFieldsStayTheSame(t *testing.T) {
	t.Parallel()
	// These jobs are stored somewhere: what they hash to must never change.
	for seed, want := range map[uint64]string{0: "2026-01-28T04:38:00Z", 1: "2026-01-08T21:46:00Z"} {
		require.Equal(t, want, nexts(t, "H H H * *", seed, 1)[0].Format(time.RFC3339), "seed %d", seed)
	}
}

func TestHashedFieldsKeepTheirRange(t *testing.T) {
	t.Parallel()
	minutes, days := map[int]int{}, map[int]int{}
	for seed := range uint64(2000) {
		all := nexts(t, "H H H * *", seed, 12)
		for i, at := range all {
			require.Equal(t, time.Month(i+1), at.Month(), "every month has the day")
			require.Equal(t, all[0].Day(), at.Day())
		}
		minutes[all[0].Minute()]++
		days[all[0].Day()]++

		at := nexts(t, "H(5-9) H(22-23) * * H(6-7)", seed, 1)[0]
		require.True(t, at.Minute() >= 5 && at.Minute() <= 9 && at.Hour() >= 22, at)
		require.Contains(t, []time.Weekday{time.Saturday, time.Sunday}, at.Weekday())
	}
	require.Len(t, minutes, 60, "every minute is picked")
	require.Len(t, days, 28, "every day up to the 28th is picked")
	for minute, n := range minutes {
		require.InDelta(t, 2000/60, n, 25, "minute %d is picked as often as others", minute)
	}
}

func TestHashedSteps(t *testing.T) {
	t.Parallel()
	firsts := map[int]bool{}
	for seed := range uint64(200) {
		all := nexts(t, "H/15 * * * *", seed, 5)
		require.Less(t, all[0].Minute(), 15)
		for i := range 4 {
			require.Equal(t, 15*time.Minute, all[i+1].Sub(all[i]))
		}
		firsts[all[0].Minute()] = true

		all = nexts(t, "H(10-29)/10 * * * *", seed, 3)
		require.True(t, all[0].Minute() >= 10 && all[0].Minute() < 20, all[0])
		require.Equal(t, 10*time.Minute, all[1].Sub(all[0]))
		require.Equal(t, time.Hour, all[2].Sub(all[0]))

		all = nexts(t, "H(3-5)/40 * * * *", seed, 2)
		require.True(t, all[0].Minute() >= 3 && all[0].Minute() <= 5, "a step over the whole range picks one")
		require.Equal(t, time.Hour, all[1].Sub(all[0]))
	}
	require.Len(t, firsts, 15, "every offset is picked")
}

func TestFieldsHashApart(t *testing.T) {
	t.Parallel()
	pairs := map[string]bool{}
	for seed := range uint64(500) {
		pairs[nexts(t, "H H(0-23) * * *", seed, 1)[0].Format("15:04")] = true
	}
	require.Greater(t, len(pairs), 350, "of the 1440 pairs of minute and hour 500 seeds pick many")
}
