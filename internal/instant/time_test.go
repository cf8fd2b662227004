package instant_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/instant"
)

func TestJSONHasAlwaysSixDigitsInUTC(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("east", 2*60*60)
	for want, in := range map[string]time.Time{
		`"2026-11-23T10:00:00.000000Z"`: time.Date(2026, 11, 23, 12, 0, 0, 0, zone),
		`"2026-11-23T10:00:00.120000Z"`: time.Date(2026, 11, 23, 10, 0, 0, 120_000_999, time.UTC),
	} {
		got, err := json.Marshal(instant.Time{Time: in})
		require.NoError(t, err)
		require.Equal(t, want, string(got))

		var back instant.Time
		require.NoError(t, json.Unmarshal(got, &back))
		require.True(t, in.Truncate(time.Microsecond).Equal(back.Time), "%s reads back as %s", got, back)
	}
}
