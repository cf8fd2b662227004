//go:build chaos

package chaos

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recoverWithin is the promised time from the promotion of a standby until the service executes
// runs again, without a restart.
const recoverWithin = 15 * time.Second

// The primary is killed ten times, and each time its synchronous standby is promoted. In every
// second round it is stopped instead, and goes on after the promotion as if nothing had happened,
// with the connections that it had. No occurrence is lost or doubled.
func TestFailover(t *testing.T) {
	c := startCluster(t)
	s := &system{postgres: c.primary, db: c.db, url: c.url()}
	for range 3 {
		s.add(t)
	}
	s.load(t)
	var slowest time.Duration
	for round := range 10 {
		at := s.now(t)
		former := c.primary
		isZombie := round%2 == 1
		if isZombie {
			former.signal(t, syscall.SIGSTOP)
		} else {
			former.kill(t)
		}
		// As a cluster manager does: commits do not wait for a standby that there is not.
		c.settings(t, c.standby, "alter system set synchronous_standby_names = ''")
		c.promote(t)
		promoted := s.now(t)
		eventually(t, recoverWithin, func() bool { return s.allExecuteSince(t, promoted) }, "all instances execute again")
		took := s.now(t).Sub(promoted)
		slowest = max(slowest, took)
		if isZombie {
			former.signal(t, syscall.SIGCONT)
			s.requireLeft(t, former)
			former.kill(t)
		}
		s.faults = append(s.faults, fault{from: at, to: s.now(t).Add(leaseDuration)})
		c.follow(t)
	}
	t.Logf("the service recovered at the latest %v after the promotion", slowest.Round(time.Millisecond))
	for _, i := range s.instances {
		require.False(t, i.hasEnded(), "%s has not been restarted", i.name)
	}
	s.verify(t)
}

// allExecuteSince reports whether each instance has executed a run since an instant.
func (s *system) allExecuteSince(t *testing.T, at time.Time) bool {
	t.Helper()
	return !slices.ContainsFunc(s.instances, func(i *instance) bool { return !i.executedSince(t, at) })
}

// requireLeft waits for some seconds in which the service works and a former primary lives, and
// requires that nothing is stored there that the service has answered or executed.
func (s *system) requireLeft(t *testing.T, former *postgres) {
	t.Helper()
	from := s.now(t)
	eventually(t, recoverWithin, func() bool { return s.allExecuteSince(t, from.Add(3*time.Second)) },
		"all instances execute runs while the former primary lives")
	pool := former.connect(t)
	defer pool.Close()
	var stored int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from runs where finished_at > $1", from.Add(time.Second)).Scan(&stored))
	require.Zero(t, stored, "nobody stores runs at the former primary")
}
