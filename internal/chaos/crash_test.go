//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// PostgreSQL is stopped in the middle of everything without being given time to write anything down, for a moment and
// for longer than leases last, and started again. The service goes on by itself, and what it answered with success, by
// its API or by executing, is there.
func TestCrashedPostgreSQL(t *testing.T) {
	s := setup(t, 3)
	s.load(t)

	// Somebody creates jobs all the time, and notes which were answered with success.
	stop, stopped := make(chan struct{}), make(chan struct{})
	var answered []uuid.UUID
	var refused int
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			// With an interval beyond the test's: it is about whether they are there.
			if id, err := s.instances[n%3].create(t.Context(), 3600, n); err == nil {
				answered = append(answered, id)
			} else {
				refused++
			}
		}
	}()

	every(t, 8*time.Second, forHowLong(40*time.Second), func(n int) {
		at := s.now(t)
		s.postgres.crash()
		if n%2 == 1 { // longer than a lease lasts
			<-time.After(leaseDuration + 2*time.Second)
		}
		s.postgres.start(t)
		s.db.Reset()
		// A lease that ran out meanwhile, or is about to, is lost with what is in flight then.
		s.faults = append(s.faults, fault{from: at, to: s.now(t).Add(leaseDuration)})
	})
	close(stop)
	<-stopped
	s.requireRecovered(t, 20*time.Second)
	s.verify(t)

	var lost int
	require.NoError(t, s.db.QueryRow(t.Context(), `
		select count(*) from unnest($1::uuid[]) as answered (id) left join jobs using (id) where jobs.id is null`,
		answered).Scan(&lost))
	require.Zero(t, lost, "jobs whose creation was answered with success are lost")
	require.NotEmpty(t, answered)
	require.NotZero(t, refused, "some were created while PostgreSQL was down")
	t.Logf("%d jobs created meanwhile, %d refused", len(answered), refused)
}
