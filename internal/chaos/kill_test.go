//go:build chaos

package chaos

import (
	"testing"
	"time"
)

// One of three instances is killed every ten seconds and replaced. No occurrence is lost or
// doubled, and only runs of a killed instance are executed twice.
func TestKilledInstances(t *testing.T) {
	s := setup(t, 3)
	s.load(t)
	every(t, 10*time.Second, forHowLong(35*time.Second), func(int) {
		victim := s.instances[0] // the oldest
		s.freeze(t, victim)
		at := s.now(t)
		victim.kill()
		s.faults = append(s.faults, fault{from: at, to: s.now(t), victim: victim})
		t.Logf("%s killed at %s", victim.name, at.Format(time.RFC3339Nano))
		s.remove(victim)
		s.add(t)
	})
	s.requireTakeovers(t, s.verify(t))
}
