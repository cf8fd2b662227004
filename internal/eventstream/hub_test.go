package eventstream_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/events"
	"punctual/internal/eventstream"
	"punctual/internal/labels"
)

func TestHub(t *testing.T) {
	t.Parallel()
	blue := eventstream.Filter{Namespace: "blue"}

	t.Run("what happens at any instance, in one order everywhere", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one, two := c.instance(t), c.instance(t)
		first, second := one.follow(t, blue, ""), two.follow(t, blue, "")
		one.publish("a", "b")
		first.requireNext(t, "a", "b")
		two.publish("c")
		first.requireNext(t, "c")
		second.requireNext(t, "a", "b", "c")
		require.Equal(t, first.last, second.last, "the ids are the same")
	})
	t.Run("nothing is sent while nobody follows", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one := c.instance(t)
		require.Zero(t, one.Wants("blue"))
		s := one.follow(t, eventstream.Filter{Namespace: "blue", Types: events.SetOf(events.JobPaused)}, "")
		require.Equal(t, events.SetOf(events.JobPaused), one.Wants("blue"), "only what somebody wants")
		require.Zero(t, one.Wants("red"))
		s.Close()
		require.Eventually(t, func() bool { return one.Wants("blue") == 0 }, 2*patience, 100*time.Millisecond)
	})
	t.Run("filters, and the wall of the namespace", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one := c.instance(t)
		selector, err := labels.ParseSelector("name=yes")
		require.NoError(t, err)
		wanted := of(events.JobPaused, "blue", "yes")
		for name, filter := range map[string]eventstream.Filter{
			"type": {Types: events.SetOf(events.JobPaused)}, "job": {Job: &wanted.Job.ID},
			"key": {Keys: []string{"key/other", "key/yes"}}, "labels": {Selector: selector},
		} {
			filter.Namespace = "blue"
			s := one.follow(t, filter, "")
			other := of(events.JobCompleted, "blue", "no")
			what := []events.Event{other, of(events.JobPaused, "red", "yes"), wanted, other}
			one.Publish(what)
			one.Publish([]events.Event{wanted})
			s.requireNext(t, "yes", "yes")
			s.Close()
			t.Log(name)
		}
	})
	t.Run("an event larger than a payload", func(t *testing.T) {
		t.Parallel()
		one := setup(t).instance(t)
		s := one.follow(t, blue, "")
		large := of(events.JobPaused, "blue", "large")
		for range 200 {
			large.Job.Labels[uuid.NewString()] = uuid.NewString() + uuid.NewString()
		}
		one.Publish([]events.Event{large, large})
		one.publish("small")
		s.requireNext(t, "large", "large", "small")
	})
}

func TestHub_goesOn(t *testing.T) {
	t.Parallel()
	blue := eventstream.Filter{Namespace: "blue"}

	t.Run("at another instance, without a loss", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one, two := c.instance(t), c.instance(t)
		s := one.follow(t, blue, "")
		two.Publish([]events.Event{of(events.JobPaused, "blue", "a"), of(events.JobPaused, "blue", "b"), of(events.JobPaused, "blue", "c")})
		s.requireNext(t, "a", "b")
		s.Close()
		one.publish("d")
		again := two.follow(t, blue, s.last)
		two.publish("e")
		again.requireNext(t, "c", "d", "e")
	})
	t.Run("after the place that it has come to without an event", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one, two := c.instance(t), c.instance(t)
		s := one.follow(t, blue, "")
		id := s.ID()
		s.Close()
		two.publish("a")
		two.follow(t, blue, id).requireNext(t, "a")
	})
	t.Run("with a loss, if it wants more than before", func(t *testing.T) {
		t.Parallel()
		one := setup(t).instance(t)
		s := one.follow(t, eventstream.Filter{Namespace: "blue", Types: events.SetOf(events.JobPaused)}, "")
		one.publish("a")
		s.requireNext(t, "a")
		again := one.follow(t, blue, s.last)
		again.requireLost(t)
		one.publish("b")
		again.requireNext(t, "b")
	})
	t.Run("with a loss, after an id that nobody knows", func(t *testing.T) {
		t.Parallel()
		one := setup(t).instance(t)
		began := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
		for id, want := range map[string]time.Time{
			"nonsense": time.UnixMicro(0), "1-2-3-4-5": time.UnixMicro(0), "99999999999999999-X-1-1": time.UnixMicro(0), "-5-a-b": time.UnixMicro(0),
			eventstream.ID(began, "XYZ", 7) + "-3": began,
		} {
			s := one.follow(t, blue, id)
			from, to := s.requireLost(t)
			require.True(t, want.Equal(from), "%s: %s", id, from)
			require.WithinDuration(t, time.Now(), to, patience)
			again := one.follow(t, blue, s.last)
			one.publish("a")
			again.requireNext(t, "a")
			s.requireNext(t, "a")
			s.Close()
			again.Close()
		}
	})
}
