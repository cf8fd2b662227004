package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/clock"
)

func TestClock(t *testing.T) {
	t.Parallel()

	t.Run("follows the database, whatever the machine believes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var clock clock.Clock
			offset := -3 * time.Hour
			clock.Observe(time.Now().Add(offset))
			time.Sleep(time.Second)
			require.WithinDuration(t, time.Now().Add(offset), clock.Now(), 100*time.Microsecond)
		})
	})

	t.Run("is never ahead and forgets delays", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var clock clock.Clock
			clock.SetBack = func(by time.Duration) { t.Errorf("delays are no step back by %v", by) }
			observe := func(delay time.Duration) {
				told := time.Now()
				time.Sleep(delay)
				clock.Observe(told)
			}
			for range 30 {
				observe(80 * time.Millisecond) // a busy moment
				require.False(t, clock.Now().After(time.Now()))
				observe(time.Millisecond)
				require.False(t, clock.Now().After(time.Now()))
				require.WithinDuration(t, time.Now(), clock.Now(), 2*time.Millisecond, "behind by the shortest delay")
				time.Sleep(time.Second)
			}
		})
	})

	t.Run("follows a clock that is set back, and reports it once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var clock clock.Clock
			var reports []time.Duration
			clock.SetBack = func(by time.Duration) { reports = append(reports, by.Round(time.Second)) }
			for range 8 {
				clock.Observe(time.Now())
				time.Sleep(time.Second)
			}
			offset := -8 * time.Hour
			for range 30 {
				clock.Observe(time.Now().Add(offset))
				time.Sleep(time.Second)
			}
			require.WithinDuration(t, time.Now().Add(offset), clock.Now(), time.Millisecond)
			require.Equal(t, []time.Duration{8 * time.Hour}, reports)
		})
	})

	t.Run("reports neither small steps nor one late answer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var clock clock.Clock
			clock.SetBack = func(by time.Duration) { t.Errorf("set back by %v", by) }
			for n := range 30 {
				told := time.Now().Add(-time.Duration(n) * time.Second)
				if n == 15 { // the process was stopped while an answer was on its way
					time.Sleep(10 * time.Minute)
				}
				clock.Observe(told)
				time.Sleep(time.Second)
			}
		})
	})

	t.Run("tells the machine's time before anything is known", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var clock clock.Clock
			require.WithinDuration(t, time.Now(), clock.Now(), time.Microsecond)
		})
	})
}
