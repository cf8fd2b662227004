//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Requests of an instance reach PostgreSQL after its lease has expired, when another instance
// executes its runs. Late completions store nothing, because their tokens are outdated. Late claims
// take nothing, because their lease has expired.
func TestLateRequests(t *testing.T) {
	p := startPostgres(t, "127.0.0.1")
	s := &system{postgres: p, db: p.connect(t)}
	relays := []*relay{startRelay(t, p), startRelay(t, p)}
	for _, r := range relays {
		s.addWith(t, instanceConfig{databaseURL: p.urlAt("127.0.0.1", r.port())})
	}
	s.load(t)
	var met int
	every(t, 3*time.Second, forHowLong(25*time.Second), func(n int) {
		slow, other := relays[n%2], relays[(n+1)%2]
		eventually(t, handOverWithin, func() bool { return s.takenNotStored(t) == 0 }, "earlier runs are stored")
		victim := s.instances[n%2]
		s.freeze(t, victim)
		at := s.now(t)
		slow.hold()
		s.faults = append(s.faults, fault{from: at, to: s.now(t), victim: victim})
		victim.thaw(t)

		// As soon as the other instance has claimed these runs, its requests are held back as well,
		// so that its completions are not stored yet.
		require.Eventually(t, func() bool { return s.takenNotStored(t) > 0 }, handOverWithin, time.Millisecond, "runs are taken over")
		other.hold()
		met += s.takenNotStored(t)
		released := s.now(t)
		ports := slow.release()
		require.NotEmpty(t, ports, "requests were held back")
		eventually(t, 5*time.Second, func() bool { return s.allDone(t, ports, released) }, "the late requests are executed")
		other.release()
	})
	s.requireTakeovers(t, s.verify(t))
	require.Positive(t, met, "late requests concerned runs that others execute")
	t.Logf("late requests concerned %d runs that others executed", met)
}

// takenNotStored returns how many runs were taken over and are not stored yet.
func (s *system) takenNotStored(t *testing.T) (n int) {
	t.Helper()
	err := s.db.QueryRow(t.Context(), "select count(*) from due where attempt > 1 and lease_id is not null").Scan(&n)
	if err != nil {
		t.Error(err) // not require, because conditions call this on another goroutine
	}
	return n
}

// allDone reports whether the sessions of some client ports have done everything since an instant,
// or are gone.
func (s *system) allDone(t *testing.T, ports []int, since time.Time) bool {
	t.Helper()
	var busy int
	err := s.db.QueryRow(t.Context(), `
		select count(*) from pg_stat_activity
		where client_port = any($1) and (state is distinct from 'idle' or state_change < $2)`, ports, since).Scan(&busy)
	return err == nil && busy == 0
}
