package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestQueueNextDue(t *testing.T) {
	t.Parallel()
	second := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	for name, c := range map[string]struct {
		tell func(q *queue)
		next time.Time
	}{
		"nothing yet": {func(*queue) {}, time.Time{}},
		"the database's answer": {func(q *queue) {
			q.beginLook()
			q.endLook(second(5))
		}, second(5)},
		"nothing is due": {func(q *queue) {
			q.beginLook()
			q.endLook(never)
		}, never},
		"an arrival during the look": {func(q *queue) {
			q.beginLook()
			q.add(second(2))
			q.endLook(second(5))
		}, second(2)},
		"not an arrival before the look": {func(q *queue) {
			q.add(second(2))
			q.beginLook()
			q.endLook(second(5))
		}, second(5)},
		"the earliest arrival after the look": {func(q *queue) {
			q.beginLook()
			q.endLook(second(5))
			q.add(second(3))
			q.add(second(4))
		}, second(3)},
		"nothing, after runs were taken": {func(q *queue) {
			q.beginLook()
			q.endLook(second(5))
			q.forget()
			q.add(second(3))
		}, time.Time{}},
	} {
		q := &queue{}
		q.forget()
		c.tell(q)
		require.Equal(t, c.next, q.next, name)
		require.Equal(t, !c.next.IsZero(), q.isKnown(), name)
	}
}

func TestQueueIsUnusedAMinuteAfterTheLastWorkerLeft(t *testing.T) {
	t.Parallel()
	one, other := &waiter{}, &waiter{}
	q := &queue{waiting: []*waiter{one, other}}
	require.True(t, q.remove(one, noon))
	require.False(t, q.remove(one, noon), "it has left already")
	require.False(t, q.isUnused(noon.Add(time.Hour)), "somebody waits")
	require.True(t, q.remove(other, noon.Add(time.Hour)))
	require.False(t, q.isUnused(noon.Add(time.Hour+keepQueue)))
	require.True(t, q.isUnused(noon.Add(time.Hour+keepQueue+time.Second)))
}
