package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

// A cache of parsed expressions relies on it: without a seed, all jobs share one.
func TestIsSeeded(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		"* * * * *": false, "0 9 * * THU": false, "0 9 * * mon-thu": false, "0 0 * MAR THUL": false,
		"@hourly": false, " @monthly": false, "0 9 * * THU#1": false,
		"H * * * *": true, "h * * * *": true, "H(0-29)/10 * * * *": true, "0 H * * THU": true, "0 9 * * H": true,
	} {
		require.Equal(t, want, schedule.IsSeeded(expression), expression)
		if want {
			continue
		}
		one, err := schedule.ParseCron(expression, time.UTC, 1)
		if err != nil {
			continue // with or without a seed
		}
		for seed := range uint64(20) {
			other, err := schedule.ParseCron(expression, time.UTC, seed)
			require.NoError(t, err)
			require.Equal(t, one, other, expression)
		}
	}
}
