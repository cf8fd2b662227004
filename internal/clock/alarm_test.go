package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/clock"
)

// slept returns how long a wait takes.
func slept(t *testing.T, a *clock.Alarm) time.Duration {
	t.Helper()
	began := time.Now()
	a.Wait(t.Context(), time.Now)
	return time.Since(began)
}

func TestAlarm(t *testing.T) {
	t.Parallel()

	t.Run("wakes at the earliest instant", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := clock.NewAlarm()
			a.Ring(time.Now().Add(3 * time.Second))
			a.Ring(time.Now().Add(time.Second))
			a.Ring(time.Now().Add(2 * time.Second))
			require.Equal(t, time.Second, slept(t, a))
			require.Zero(t, slept(t, a), "it stays set until it is cleared")
			a.Clear()
			a.Ring(time.Now().Add(-time.Second))
			require.Zero(t, slept(t, a), "the past wakes at once")
		})
	})

	t.Run("wakes a sleeper earlier when it is set meanwhile", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := clock.NewAlarm()
			for _, soon := range []time.Duration{10 * time.Second, 5 * time.Second} {
				time.AfterFunc(time.Second, func() { a.Ring(time.Now().Add(soon)) })
			}
			require.Equal(t, 6*time.Second, slept(t, a))
		})
	})

	t.Run("sleeps until its context ends if it is not set", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := clock.NewAlarm()
			a.Ring(time.Now())
			a.Clear()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			began := time.Now()
			a.Wait(ctx, time.Now)
			require.Equal(t, time.Hour, time.Since(began))
		})
	})
}
