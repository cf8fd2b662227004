package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/clock"
)

func TestNowFollowsTheDatabaseWhateverTheMachineBelieves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var clock clock.Clock
		offset := -3 * time.Hour
		clock.Observe(time.Now().Add(offset))
		time.Sleep(time.Second)
		require.WithinDuration(t, time.Now().Add(offset), clock.Now(), 100*time.Microsecond)
	})
}

func TestNowIsNeverAheadAndForgetsDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var clock clock.Clock
		observe := func(delay time.Duration) {
			told := time.Now()
			time.Sleep(delay)
			clock.Observe(told)
		}
		for range 30 {
			observe(80 * time.Millisecond) // a busy moment
			require.False(t, clock.Now().After(time.Now()), "never ahead")
			observe(time.Millisecond)
			require.False(t, clock.Now().After(time.Now()), "never ahead")
			require.WithinDuration(t, time.Now(), clock.Now(), 2*time.Millisecond, "behind by the least delay")
			time.Sleep(time.Second)
		}
	})
}

// A database whose clock is set back is followed, not outrun for ever.
func TestNowFollowsAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var clock clock.Clock
		clock.Observe(time.Now())
		offset := -time.Minute
		for range 15 {
			clock.Observe(time.Now().Add(offset))
			time.Sleep(time.Second)
		}
		require.WithinDuration(t, time.Now().Add(offset), clock.Now(), time.Millisecond)
	})
}

func TestNowIsTheMachinesBeforeAnythingIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var clock clock.Clock
		require.WithinDuration(t, time.Now(), clock.Now(), time.Microsecond)
	})
}
