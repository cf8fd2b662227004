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
	t.Run("what happens at an instance that has just started", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		s := c.instance(t).follow(t, blue, "")
		for _, name := range []string{"a", "b", "c"} {
			another := c.instance(t)
			another.publish(name)
			s.requireNext(t, name)
			require.Zero(t, another.Wants("red"), "it knows what others follow")
		}
	})
	t.Run("nothing is lost of an instance that has been silent because nobody followed", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one, two := c.instance(t), c.instance(t)
		_, err := c.Exec(t.Context(), `select pg_sleep(11)`) // longer than an instance may be silent
		require.NoError(t, err)
		s := one.follow(t, blue, "")
		_, err = c.Exec(t.Context(), `select pg_sleep(2)`) // somebody looks who is silent
		require.NoError(t, err)
		two.publish("a")
		s.requireNext(t, "a")
	})
	t.Run("nothing is sent while nobody follows", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one := c.instance(t)
		require.Eventually(t, func() bool { return one.Wants("blue") == 0 }, patience, time.Millisecond)
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
		again.requireNext(t, "c", "d")
		two.publish("e") // not before: what two instances publish at a time may come in any order
		again.requireNext(t, "e")
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

// say says something to all instances as another instance would.
func (c cluster) say(t *testing.T, at time.Time, message string) {
	t.Helper()
	_, err := c.Exec(t.Context(), `select pg_notify('punctual_events', $1::bigint::text || ' ' || $2)`, at.UnixMicro(), message)
	require.NoError(t, err)
}

func TestHub_tellsLosses(t *testing.T) {
	t.Parallel()
	blue := eventstream.Filter{Namespace: "blue", Types: events.SetOf(events.JobPaused)}

	t.Run("when messages of an instance are missing", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one := c.instance(t)
		s := one.follow(t, blue, "")
		began := time.Now().Truncate(time.Microsecond)
		c.say(t, began, "GHOST 3 i ")
		c.say(t, began.Add(time.Second), "GHOST 4 i ")
		c.say(t, began.Add(time.Second), "GHOST 4 i ") // once more, because nobody knew that it was sent
		one.publish("a")
		s.requireNext(t, "a")
		c.say(t, began.Add(7*time.Second), "GHOST 6 i ")
		from, to := s.requireLost(t)
		require.True(t, from.Before(began.Add(time.Second)))
		require.True(t, began.Add(7*time.Second).Equal(to))
		one.publish("b")
		s.requireNext(t, "b")
	})
	t.Run("when an instance dies, and not when it stops", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one, stops, dies := c.instance(t), c.instance(t), c.instance(t)
		s := one.follow(t, blue, "")
		stops.publish("a")
		dies.publish("b")
		s.next(t)
		s.next(t)
		stops.publish("last")
		stops.stop()
		s.requireNext(t, "last")
		died := time.Now()
		dies.kill()
		from, to := s.requireLost(t)
		require.True(t, from.Before(died))
		require.True(t, to.After(died))
		one.publish("c")
		s.requireNext(t, "c")
	})
	t.Run("when this instance heard nothing for a while", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one, two := c.instance(t), c.instance(t)
		s, other := one.follow(t, blue, ""), two.follow(t, blue, "")
		_, err := c.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1`, one.name)
		require.NoError(t, err)
		s.requireLost(t)
		s.requireLost(t) // as the others: it may not have known what to publish
		other.requireLost(t)
		two.publish("a")
		s.requireNext(t, "a")
		other.requireNext(t, "a")
	})
	t.Run("when a follower reads too slowly", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		one := c.instance(t)
		s := one.follow(t, blue, "")
		one.publish("a")
		s.requireNext(t, "a")
		for first := 1; first < 11_000; first += 1000 {
			_, err := c.Exec(t.Context(), `select pg_notify('punctual_events', (extract(epoch from now()) * 1000000)::bigint || ' GHOST ' || n || ' i ')
				from generate_series($1::int, $1 + 999) as n`, first)
			require.NoError(t, err)
			quick := one.follow(t, blue, "")
			one.publish("b")
			quick.requireNext(t, "b") // all of that is recorded
			quick.Close()
		}
		s.requireLost(t)
		s.requireNext(t, "b")
	})
	t.Run("when more happens than can be sent", func(t *testing.T) {
		t.Parallel()
		one := setup(t).instance(t)
		all := eventstream.Filter{Namespace: "blue"}
		s := one.follow(t, all, "")
		began := time.Now()
		what := make([]events.Event, 20_000)
		for i := range what {
			what[i] = of(events.RunFailed, "blue", "many")
		}
		isFull := func() bool { // what waits is being sent meanwhile
			one.Publish(what)
			return !one.Wants("blue").Has(events.RunFailed)
		}
		require.Eventually(t, isFull, patience, time.Millisecond, "there is no room for more")
		require.True(t, one.Wants("blue").Has(events.JobFailing), "what is rare has some")
		one.Publish([]events.Event{of(events.JobFailing, "blue", "rare")})
		var got int
		for e := s.next(t); e.Type == "run.failed"; e = s.next(t) {
			got++
		}
		require.GreaterOrEqual(t, got, 3000)
		s.requireNext(t, "rare")
		require.Less(t, time.Since(began), 10*time.Second, "nobody is behind for long")
		one.publish("next")
		s.requireNext(t, "next")
	})
}
