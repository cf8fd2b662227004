package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

func every(seconds int64) schedule.Interval { return schedule.NewInterval(anchor, seconds) }

func cron(t *testing.T, expression string) schedule.Cron {
	t.Helper()
	c, err := schedule.ParseCron(expression, time.UTC, 0)
	require.NoError(t, err)
	return c
}

func TestBoundsAreInclusive(t *testing.T) {
	t.Parallel()
	s := schedule.Schedule{Grid: every(10), Start: anchor.Add(30 * time.Second), End: anchor.Add(50 * time.Second)}
	var all []time.Duration
	for next, ok := s.Next(anchor); ok; next, ok = s.Next(next) {
		all = append(all, next.Sub(anchor))
	}
	require.Equal(t, []time.Duration{30 * time.Second, 40 * time.Second, 50 * time.Second}, all)
}

func TestJitterShiftsAll(t *testing.T) {
	t.Parallel()
	s := schedule.Schedule{Grid: every(10), Jitter: 3 * time.Second, End: anchor.Add(20 * time.Second)}
	first, ok := s.Next(anchor)
	require.True(t, ok)
	require.Equal(t, anchor.Add(13*time.Second), first)
	second, ok := s.Next(first)
	require.True(t, ok)
	require.Equal(t, anchor.Add(23*time.Second), second)
	_, ok = s.Next(second)
	require.False(t, ok)
}

func TestOnceIsOnce(t *testing.T) {
	t.Parallel()
	s := schedule.Schedule{Grid: schedule.Once{At: anchor}}
	next, ok := s.Next(anchor.Add(-time.Hour))
	require.True(t, ok)
	require.Equal(t, anchor, next)
	_, ok = s.Next(anchor)
	require.False(t, ok)
}

// RFC 3339 has four digits for a year.
func TestNothingIsDueAfterTheYear9999(t *testing.T) {
	t.Parallel()
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for name, s := range map[string]schedule.Schedule{
		"interval":       {Grid: every(3600)},
		"cron":           {Grid: cron(t, "0 * * * *")},
		"once, jittered": {Grid: schedule.Once{At: last}, Jitter: time.Second},
	} {
		_, ok := s.Next(last.Add(-time.Second))
		require.False(t, ok, name)
	}
	next, ok := schedule.Schedule{Grid: schedule.Once{At: last}}.Next(anchor)
	require.True(t, ok)
	require.Equal(t, last, next)
}

func TestBetweenCountsAndFindsTheLast(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]schedule.Schedule{
		"interval":            {Grid: every(1)},
		"interval, jittered":  {Grid: every(1), Jitter: 300 * time.Millisecond},
		"interval, ends":      {Grid: every(1), End: anchor.Add(time.Hour)},
		"cron":                {Grid: cron(t, "* * * * * *")},
		"cron, jittered":      {Grid: cron(t, "*/7 * * * * *"), Jitter: 300 * time.Millisecond},
		"cron, starts & ends": {Grid: cron(t, "* * * * *"), Start: anchor.Add(time.Hour), End: anchor.Add(90 * time.Minute)},
		"once":                {Grid: schedule.Once{At: anchor.Add(time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, until := range []time.Duration{0, time.Second, 59*time.Second + 500*time.Millisecond, time.Hour, 3 * time.Hour} {
				var want int
				var wantLast time.Time
				for next, ok := s.Next(anchor); ok && !next.After(anchor.Add(until)); next, ok = s.Next(next) {
					want, wantLast = want+1, next
				}
				count, last := s.Between(anchor, anchor.Add(until))
				require.Equal(t, want, count, "until %s", until)
				require.Equal(t, wantLast, last, "until %s", until)
			}
		})
	}
}

func TestBetweenGivesUpCountingButFindsTheLast(t *testing.T) {
	t.Parallel()
	until := anchor.Add(365*24*time.Hour + 500*time.Millisecond)
	count, last := schedule.Schedule{Grid: cron(t, "* * * * * *")}.Between(anchor, until)
	require.Equal(t, 100_000, count)
	require.Equal(t, until.Truncate(time.Second), last)
	count, last = schedule.Schedule{Grid: every(1)}.Between(anchor, until)
	require.Equal(t, 365*24*60*60, count, "an interval's are counted exactly")
	require.Equal(t, until.Truncate(time.Second), last)
}
