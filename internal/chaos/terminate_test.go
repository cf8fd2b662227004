//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// All connections of all instances are terminated every second. The instances reconnect and lose
// nothing.
func TestTerminatedConnections(t *testing.T) {
	s := setup(t, 3)
	s.load(t)
	var terminated int
	every(t, time.Second, forHowLong(30*time.Second), func(int) {
		at := s.now(t)
		var n int
		require.NoError(t, s.db.QueryRow(t.Context(), `
			select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and application_name <> $1 and pid <> pg_backend_pid()
			and backend_type = 'client backend'`, observer).Scan(&n))
		terminated += n
		s.faults = append(s.faults, fault{from: at, to: s.now(t)})
	})
	s.requireRecovered(t, 15*time.Second)
	s.verify(t)
	require.Positive(t, terminated)
	t.Logf("%d connections terminated", terminated)
}

// requireRecovered requires that each instance executes runs again by itself.
func (s *system) requireRecovered(t *testing.T, within time.Duration) {
	t.Helper()
	began := s.now(t)
	for _, i := range s.instances {
		eventually(t, within, func() bool { return i.executedSince(t, began) || i.hasEnded() }, "%s executes again", i.name)
		require.False(t, i.hasEnded(), "%s lives; its log: %s", i.name, i.tail())
	}
	t.Logf("all instances execute again after %v", s.now(t).Sub(began).Round(time.Millisecond))
}
