//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Instances that are replaced one by one, as in an upgrade, hand over their runs. No run is begun
// twice.
func TestRollingRestart(t *testing.T) {
	s := setup(t, 3)
	s.load(t)
	var restarts int
	every(t, 3*time.Second, forHowLong(25*time.Second), func(int) {
		oldest := s.instances[0]
		s.add(t)
		s.remove(oldest)
		oldest.stop(t)
		restarts++
	})
	s.requireRecovered(t, 15*time.Second)
	for _, r := range s.verify(t) {
		require.Equal(t, 1, r.Attempt, "the run was begun once: %v", r)
	}
	for _, i := range s.all {
		require.NotZero(t, i.count(t, time.Time{}, "run"), "%s executed runs", i.name)
	}
	t.Logf("%d restarts", restarts)
}
