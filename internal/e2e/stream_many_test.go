package e2e

import (
	"bufio"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// A thousand followers cost the database nothing, and all of them get what happens elsewhere.
func TestStream_ofManyClients(t *testing.T) {
	t.Parallel()
	const clients = 1000
	database := app.DatabaseConfig{URL: testdb.New(t)}
	db := connect(t, database.URL)
	one := start(t, app.Config{Role: app.RoleAPI, Database: database})
	two := start(t, app.Config{Role: app.RoleAPI, Database: database})
	job := two.create(t, `{"name":"a","onDemand":true}`)
	follow := func() *bufio.Reader {
		conn, err := net.Dial("tcp", strings.TrimPrefix(one.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(2*patience)))
		follower := bufio.NewReaderSize(conn, 16) // the memory is the service's
		readUntil(t, follower, "id: ")
		return follower
	}
	followers := []*bufio.Reader{follow()}
	memory, goroutines := inUse(), runtime.NumGoroutine()
	began, committed := time.Now(), transactions(t, db)
	for range clients {
		followers = append(followers, follow())
	}
	t.Logf("each client takes %d bytes and %.1f goroutines", (inUse()-memory)/clients,
		float64(runtime.NumGoroutine()-goroutines)/clients)
	// When nothing happens the service writes to each of them after some seconds. A service that
	// asked the database for each of them, at their beginning or before it writes, would commit as
	// many transactions as there are clients. All else that two instances do is a few a second.
	for _, follower := range followers {
		readUntil(t, follower, ": following")
	}
	committed = transactions(t, db) - committed
	t.Logf("%d transactions in %s", committed, time.Since(began))
	require.Less(t, committed, clients/2, "they do not ask the database")

	two.pause(t, job)
	for _, follower := range followers {
		readUntil(t, follower, "event: job.paused")
	}
}

// readUntil reads lines until one begins with a text.
func readUntil(t *testing.T, r *bufio.Reader, start string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, start) {
			return
		}
	}
}

// inUse returns how much memory is in use, in bytes.
func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// transactions returns how many transactions a database has committed.
func transactions(t *testing.T, db *pgxpool.Pool) int {
	t.Helper()
	return count(t, db, `select xact_commit from pg_stat_database where datname = current_database()`)
}
