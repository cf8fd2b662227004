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
	key, namespace := Quota{"key a", 2}, Quota{"namespace n", 3}

	left, refused, _ := r.Take(start, key, namespace)
	require.Equal(t, []int{1, 2}, left)
	require.Negative(t, refused)
	_, refused, _ = r.Take(start, key, namespace)
	require.Negative(t, refused)
	left, refused, wait := r.Take(start, key, namespace)
	require.Equal(t, 0, refused, "the key has had two")
	require.Equal(t, []int{0, 1}, left, "the namespace pays for no request that is refused")
	require.Equal(t, 500*time.Millisecond, wait)

	other := Quota{"key b", 10}
	_, refused, _ = r.Take(start, other, namespace)
	require.Negative(t, refused)
	left, refused, wait = r.Take(start, other, namespace)
	require.Equal(t, 1, refused, "the namespace has had three")
	require.Equal(t, []int{9, 0}, left)
	require.InDelta(t, float64(time.Second)/3, float64(wait), 1)

	_, refused, wait = r.Take(start.Add(wait), key, namespace)
	require.Equal(t, 0, refused, "the namespace has one again, the key has none yet")
	_, refused, _ = r.Take(start.Add(500*time.Millisecond), key, namespace)
	require.Negative(t, refused)
	require.Positive(t, wait)
}

func TestRequests_aLimitChanges(t *testing.T) {
	t.Parallel()
	var r Requests
	for range 2 {
		_, refused, _ := r.Take(start, Quota{"key", 2})
		require.Negative(t, refused)
	}
	later := start.Add(time.Second)
	left, refused, _ := r.Take(later, Quota{"key", 1})
	require.Equal(t, []int{0}, left, "the new limit holds at once")
	require.Negative(t, refused)
	_, refused, _ = r.Take(later, Quota{"key", 1})
	require.Equal(t, 0, refused)
}

// Memory does not grow with the number of names that were ever used.
func TestRequests_idleNamesAreForgotten(t *testing.T) {
	t.Parallel()
	var r Requests
	now := start
	for n := range 100_000 {
		_, refused, _ := r.Take(now, Quota{"key " + strconv.Itoa(n), 1})
		require.Negative(t, refused)
		now = now.Add(10 * time.Millisecond) // so 100 of them are not full at a time
	}
	require.LessOrEqual(t, len(r.buckets.all), sweepFrom)
	_, refused, _ := r.Take(now, Quota{"key 99999", 1})
	require.Equal(t, 0, refused, "what is not full is not forgotten")
}
