package ratelimit

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRequests(t *testing.T) {
	t.Parallel()
	var r Requests
	for _, c := range []struct {
		after time.Duration
		name  string
		left  int
		wait  time.Duration
	}{
		{0, "a", 1, 0},
		{0, "a", 0, 0},
		{0, "a", 0, 500 * time.Millisecond},
		{0, "a", 0, 500 * time.Millisecond}, // what is refused is not counted
		{0, "b", 1, 0},                      // others have their own
		{400 * time.Millisecond, "a", 0, 100 * time.Millisecond},
		{500 * time.Millisecond, "a", 0, 0},
		{500 * time.Millisecond, "a", 0, 500 * time.Millisecond},
		{time.Minute, "a", 1, 0}, // no more than those of one second are saved
	} {
		left, wait := r.Take(start.Add(c.after), c.name, 2)
		require.Equal(t, c.left, left, "%v", c)
		require.InDelta(t, c.wait, wait, 10, "%v", c)
	}
}

func TestRequests_aLimitChanges(t *testing.T) {
	t.Parallel()
	var r Requests
	for range 2 {
		_, wait := r.Take(start, "key", 2)
		require.Zero(t, wait)
	}
	later := start.Add(time.Second)
	_, wait := r.Take(later, "key", 1)
	require.Zero(t, wait)
	_, wait = r.Take(later, "key", 1)
	require.Equal(t, time.Second, wait, "the new limit holds at once")
}

// Memory does not grow with the number of names that were ever used.
func TestRequests_idleNamesAreForgotten(t *testing.T) {
	t.Parallel()
	var r Requests
	now := start
	for n := range 100_000 {
		_, wait := r.Take(now, "key "+strconv.Itoa(n), 1)
		require.Zero(t, wait)
		now = now.Add(10 * time.Millisecond) // so 100 of them are not full at a time
	}
	require.LessOrEqual(t, len(r.buckets.all), sweepFrom)
	_, wait := r.Take(now, "key 99999", 1)
	require.Positive(t, wait, "what is not full is not forgotten")
}
