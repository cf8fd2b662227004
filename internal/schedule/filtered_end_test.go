package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

// A search ends at the end of the year 9999, where no day is looked at any more.
func TestFilteredEndsWithTheYear9999(t *testing.T) {
	t.Parallel()
	zone := load("Europe/Berlin")
	hourly, err := schedule.ParseCron("0 * * * *", zone, 0)
	require.NoError(t, err)
	past := schedule.NewDays(zone, []schedule.DayRange{{From: 100, To: 100}}, nil, nil)
	for _, moves := range []schedule.OnSkipped{schedule.Drop, schedule.ToNextDay, schedule.ToPreviousDay} {
		f := &schedule.Filtered{Grid: hourly, Only: []*schedule.Days{past}, Zone: zone, Moves: moves}
		for _, year := range []int{9940, 9960, 9999} {
			_, ok := f.Next(time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC))
			require.False(t, ok)
		}
	}
}
