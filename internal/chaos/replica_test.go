//go:build chaos

package chaos

import (
	"context"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// Lists are read at a replica, which says by how much it may be behind, and never by who has
// changed something a moment ago. A replica that is far behind, or does not answer, is not used.
func TestReadReplica(t *testing.T) {
	c := startCluster(t)
	s := &system{postgres: c.primary, db: c.db, url: c.primary.url("127.0.0.1")}
	s.addWith(t, instanceConfig{databaseURL: s.url, env: []string{"DATABASE_READ_URL=" + c.standby.url("127.0.0.1")}})
	s.add(t)
	reader, other := s.instances[0], s.instances[1]

	s.mustCreate(t, other, 1)
	eventually(t, 15*time.Second, func() bool {
		jobs, lag := reader.list(t)
		return jobs == 1 && lag >= 0 && lag < 1
	}, "the list is read at the replica, where the job of another instance soon is")
	s.mustCreate(t, reader, 2)
	jobs, lag := reader.list(t)
	require.Equal(t, 2, jobs, "who has changed something sees it")
	require.Negative(t, lag)
	eventually(t, 15*time.Second, func() bool { _, lag := reader.list(t); return lag >= 0 }, "later, the replica is used again")
	_, lag = reader.list(t, client.RequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Cache-Control", "no-cache")
		return nil
	}))
	require.Negative(t, lag)

	c.replay(t, "select pg_wal_replay_pause()")
	s.mustCreate(t, other, 3)
	eventually(t, 10*time.Second, func() bool { _, lag := reader.list(t); return lag > 1 }, "it says that the replica is behind")
	eventually(t, 20*time.Second, func() bool { jobs, lag := reader.list(t); return jobs == 3 && lag < 0 }, "a replica that is far behind is not used")
	c.replay(t, "select pg_wal_replay_resume()")
	eventually(t, 15*time.Second, func() bool { jobs, lag := reader.list(t); return jobs == 3 && lag >= 0 }, "it is used again")

	c.standby.signal(t, syscall.SIGSTOP)
	defer c.standby.signal(t, syscall.SIGCONT)
	eventually(t, 15*time.Second, func() bool {
		began := time.Now()
		jobs, lag := reader.list(t)
		return jobs == 3 && lag < 0 && time.Since(began) < time.Second
	}, "a replica that does not answer is not used")
}

// mustCreate creates a job.
func (s *system) mustCreate(t *testing.T, i *instance, n int) {
	t.Helper()
	_, err := i.create(t.Context(), 3600, n)
	require.NoError(t, err)
}

// list returns how many jobs an instance lists, and by how many seconds the replica may be behind
// at which they were read: a negative number if they were read at the primary.
func (i *instance) list(t *testing.T, editors ...client.RequestEditorFn) (jobs int, lag float64) {
	t.Helper()
	answer, err := i.ListJobsWithResponse(t.Context(), nil, editors...)
	require.NoError(t, err)
	if answer.StatusCode() != http.StatusOK {
		return 0, -1 // the replica has just stopped
	}
	lag = -1
	if text := answer.HTTPResponse.Header.Get("Punctual-Replica-Lag"); text != "" {
		lag, err = strconv.ParseFloat(text, 64)
		require.NoError(t, err)
	}
	return len(answer.JSON200.Items), lag
}

// replay executes a statement at the standby that stops or continues its replay.
func (c *cluster) replay(t *testing.T, sql string) {
	t.Helper()
	pool := c.standby.connect(t)
	defer pool.Close()
	_, err := pool.Exec(t.Context(), sql)
	require.NoError(t, err)
}
