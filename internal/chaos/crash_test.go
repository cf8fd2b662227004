//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// PostgreSQL crashes without time to write anything, and is started again at once or after the
// leases have expired. The service recovers by itself, and everything that it has answered with
// success or executed is stored.
func TestCrashedPostgreSQL(t *testing.T) {
	s := setup(t, 3)
	s.load(t)

	// A client creates jobs all the time, and notes which creations were answered with success.
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
			// They do not fire during the test, which only checks that they exist.
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
		// A lease that expires until then is lost, with the runs that are in flight.
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
	require.Zero(t, lost, "no job is lost whose creation was answered with success")
	require.NotEmpty(t, answered)
	require.NotZero(t, refused, "some creations failed while PostgreSQL was down")
	t.Logf("%d jobs created in the meantime, %d refused", len(answered), refused)
}
