package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestWhatIsKnownOfALine(t *testing.T) {
	t.Parallel()
	second := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	for name, c := range map[string]struct {
		tell func(l *line)
		next time.Time
	}{
		"nothing": {func(*line) {}, time.Time{}},
		"what the database says": {func(l *line) {
			l.beginLook()
			l.learn(second(5))
		}, second(5)},
		"that nothing is due": {func(l *line) {
			l.beginLook()
			l.learn(never)
		}, never},
		"what was heard while it was asked": {func(l *line) {
			l.beginLook()
			l.hear(second(2))
			l.learn(second(5))
		}, second(2)},
		"not what was heard before": {func(l *line) {
			l.hear(second(2))
			l.beginLook()
			l.learn(second(5))
		}, second(5)},
		"what is heard after, if sooner": {func(l *line) {
			l.beginLook()
			l.learn(second(5))
			l.hear(second(3))
			l.hear(second(4))
		}, second(3)},
		"nothing, when some of it is taken": {func(l *line) {
			l.beginLook()
			l.learn(second(5))
			l.forget()
			l.hear(second(3))
		}, time.Time{}},
	} {
		l := &line{}
		l.forget()
		c.tell(l)
		require.Equal(t, c.next, l.next, name)
		require.Equal(t, !c.next.IsZero(), l.isKnown(), name)
	}
}

func TestALineIsForgottenWhenNobodyHasWaitedForLong(t *testing.T) {
	t.Parallel()
	one, other := &waiter{}, &waiter{}
	l := &line{waiting: []*waiter{one, other}}
	require.True(t, l.remove(one, noon))
	require.False(t, l.remove(one, noon), "it has left already")
	require.False(t, l.isForgotten(noon.Add(time.Hour)), "somebody waits")
	require.True(t, l.remove(other, noon.Add(time.Hour)))
	require.False(t, l.isForgotten(noon.Add(time.Hour+keepLine)))
	require.True(t, l.isForgotten(noon.Add(time.Hour+keepLine+time.Second)))
}
