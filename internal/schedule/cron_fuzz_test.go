package schedule_test

import (
	"errors"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

// FuzzParseCron: any input is either refused with a reason that can be printed, or gives
// occurrences that go forward.
func FuzzParseCron(f *testing.F) {
	names := []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago", "Antarctica/Troll"}
	var locations []*time.Location
	for _, name := range names {
		location, err := time.LoadLocation(name)
		require.NoError(f, err)
		locations = append(locations, location)
	}
	for i, expression := range []string{
		"* * * * *", "*/15 * * * *", "0 */2 * * *", "30 2 * * *", "0,30 1-3 * * 1-5", "*/10 0 0 1 1 ?", "0 0 L * *",
		"0 0 L-3 * *", "0 0 * * FRIL", "0 0 * * 7#5,MON#1", "0 0 29 2 *", "0 0 ? 2 MON#5", "H H(0-7) H * *",
		"H/15 H(3-9)/2 * * *", "@hourly", "@every 5m", "CRON_TZ=UTC * * * * *", "0 0 30 2 *", "1-59/0 * * * *",
		",,, * * * *", "99999999999999999999 * * * *", "٣ é \x00 \xff *", "0 0 */8 * MON#5", "H(9 * * * *", "5L 5# #5 - /",
		"0 9 15W * *", "0 9 1W,LW * *", "0 9 31W 2 *", "50-10 22-2/2 28-3 NOV-FEB FRI-MON", "H(50-10) H(22-2)/2 * * H(FRI-MON)",
	} {
		f.Add(expression, uint8(i), uint64(i), int64(1774747800+86400*i), int64(i))
	}
	f.Fuzz(func(t *testing.T, expression string, zone uint8, seed uint64, seconds, nanoseconds int64) {
		cron, err := schedule.ParseCron(expression, locations[int(zone)%len(locations)], seed)
		if err != nil {
			requirePrintable(t, err)
			return
		}
		at := time.Unix(seconds, nanoseconds)
		for range 20 {
			next, ok := cron.Next(at)
			if !ok {
				require.Greater(t, at.Year(), 9950, "never due after %s", at)
				return
			}
			require.True(t, next.After(at), "%s is not after %s", next, at)
			require.Zero(t, next.Nanosecond())
			require.Equal(t, time.UTC, next.Location())
			again, ok := cron.Next(next.Add(-time.Nanosecond))
			require.True(t, ok && again.Equal(next), "just before %s comes %s", next, again)
			if half := at.Add(next.Sub(at) / 2); half.Before(next) {
				again, ok = cron.Next(half)
				require.True(t, ok && again.Equal(next), "after %s comes %s, not %s", half, again, next)
			}
			cron.Moved(next)
			at = next
		}
	})
}

func requirePrintable(t *testing.T, err error) {
	t.Helper()
	wrong, ok := errors.AsType[*schedule.CronError](err)
	require.True(t, ok, "%T", err)
	require.NotEmpty(t, wrong.Field)
	require.NotEmpty(t, wrong.Reason)
	require.Less(t, len(wrong.Reason), 300, wrong.Reason)
	require.True(t, utf8.ValidString(wrong.Reason))
	for _, r := range wrong.Reason {
		require.True(t, unicode.IsPrint(r), "%q", wrong.Reason)
	}
}
