//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// An instance is stopped for longer than its lease lasts, and then continued. It changes nothing
// that others did in the meantime, logs which runs it leaves to them, and works again.
func TestStoppedInstanceGoesOn(t *testing.T) {
	s := setup(t, 2)
	s.load(t)
	var left int
	every(t, 5*time.Second, forHowLong(25*time.Second), func(n int) {
		zombie := s.instances[n%2]
		at := s.now(t)
		s.freeze(t, zombie)
		s.faults = append(s.faults, fault{from: at, to: s.now(t), victim: zombie})
		var takenOver map[string]string
		eventually(t, handOverWithin, func() bool {
			takenOver = s.takenOver(t, at)
			return len(takenOver) > 0
		}, "runs are taken over from %s", zombie.name)

		goesOn := s.now(t)
		zombie.thaw(t)
		eventually(t, handOverWithin, func() bool { return zombie.executedSince(t, goesOn.Add(time.Second)) },
			"%s works again", zombie.name)
		now := s.takenOver(t, at)
		for key, row := range takenOver {
			require.Equal(t, row, now[key], "a run that was taken over stays as it was stored")
		}
		left += zombie.count(t, goesOn, "run left to others", "run was completed or taken over by others")
	})
	s.requireTakeovers(t, s.verify(t))
	require.Positive(t, left, "instances log the runs that they leave to others")
	t.Logf("runs left to others: %d", left)
}

// takenOver returns the runs that began around an instant and needed another attempt, each as its
// whole row.
func (s *system) takenOver(t *testing.T, at time.Time) map[string]string {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `
		select job_id || ' ' || scheduled_for, to_jsonb(r)::text from runs r
		where attempt > 1 and started_at between $1 and $2`, at.Add(-inFlight), at.Add(ahead))
	require.NoError(t, err)
	all := map[string]string{}
	var key, row string
	_, err = pgx.ForEachRow(rows, []any{&key, &row}, func() error {
		all[key] = row
		return nil
	})
	require.NoError(t, err)
	return all
}
