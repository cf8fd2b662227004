package batches

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCollector(t *testing.T) {
	t.Parallel()
	t.Run("what arrives while a batch is handled is the next batch", func(t *testing.T) {
		t.Parallel()
		c := New[int](3, 0)
		require.True(t, c.Add(1), "the caller handles it")
		require.False(t, c.Add(2), "somebody handles batches already")
		require.Equal(t, []int{1, 2}, c.Take())
		require.False(t, c.Add(3))
		require.Equal(t, []int{3}, c.Take())
		require.Empty(t, c.Take())
		require.True(t, c.Add(4), "nobody handles batches any more")
	})
	t.Run("a second caller handles full batches only", func(t *testing.T) {
		t.Parallel()
		c := New[int](2, 0)
		require.True(t, c.Add(1))
		require.Equal(t, []int{1}, c.Take())
		require.True(t, c.Add(2, 3, 4))
		require.False(t, c.Add(5, 6), "two are enough")
		require.Equal(t, []int{2, 3}, c.Take())
		require.Equal(t, []int{4, 5}, c.Take())
		require.Empty(t, c.Take(), "the first one handles the rest")
		require.Equal(t, []int{6}, c.Take())
		require.Empty(t, c.Take())
	})
	t.Run("the first item waits a moment for others", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := New[int](2, time.Second)
			require.True(t, c.Add(1))
			began := time.Now()
			require.Equal(t, []int{1}, c.Take())
			require.Equal(t, time.Second, time.Since(began))
			require.False(t, c.Add(2))
			go c.Add(3)
			require.Equal(t, []int{2, 3}, c.Take())
			require.Equal(t, time.Second, time.Since(began), "the batch is full")
			require.False(t, c.Add(4))
			c.Hurry()
			require.Equal(t, []int{4}, c.Take())
			require.Equal(t, time.Second, time.Since(began), "somebody waits")
		})
	})
}
