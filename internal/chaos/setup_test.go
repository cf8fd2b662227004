//go:build chaos

package chaos

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	// So that go test does not use its cache if the command has changed.
	_ "punctual/internal/app"
)

var (
	full     = flag.Bool("chaos.full", false, "break things for three minutes in each test, instead of about half a minute")
	duration = flag.Duration("chaos.duration", 0, "how long each test breaks things; 0 leaves that to -chaos.full")
	rate     = flag.Int("chaos.rate", 500, "how many runs are due per second")
)

const (
	// leaseDuration is the service's default.
	leaseDuration = 9 * time.Second
	// handOverWithin is the promised time until another instance continues a run. The lease and the
	// duty that frees its runs take ten seconds; the rest is for a busy machine.
	handOverWithin = 15 * time.Second
	// settleWithin is how long a healthy service may take to catch up after the last fault.
	settleWithin = 45 * time.Second
	// serveWithin is how long an instance may take to start.
	serveWithin = 30 * time.Second
)

// binary is the command under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "punctual-chaos-bin-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "punctual")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "punctual/cmd/punctual").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build punctual: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// forHowLong returns how long a test breaks things. Its shortest sensible length is short.
func forHowLong(short time.Duration) time.Duration {
	if *full {
		short = 3 * time.Minute
	}
	return cmp.Or(*duration, short)
}

// system is a PostgreSQL, its instances, and the faults of the test.
type system struct {
	postgres  *postgres
	db        *pgxpool.Pool // the test's own connections
	url       string        // the database for instances
	instances []*instance   // the ones that should be alive
	all       []*instance   // those and the ones before them
	faults    []fault
}

// fault is something that was broken for a time, by the database's clock.
type fault struct {
	from, to time.Time
	victim   *instance // nil means all of them
}

// setup starts a PostgreSQL and instances that use it.
func setup(t *testing.T, instances int) *system {
	t.Helper()
	p := startPostgres(t, "127.0.0.1")
	s := &system{postgres: p, db: p.connect(t), url: p.url("127.0.0.1")}
	for range instances {
		s.add(t)
	}
	return s
}

// add starts one more instance.
func (s *system) add(t *testing.T) {
	t.Helper()
	s.addWith(t, instanceConfig{databaseURL: s.url})
}

func (s *system) addWith(t *testing.T, c instanceConfig) {
	t.Helper()
	i := startInstance(t, len(s.all), c)
	s.all = append(s.all, i)
	s.instances = append(s.instances, i)
}

// now returns the database's time.
func (s *system) now(t *testing.T) (now time.Time) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), "select clock_timestamp()").Scan(&now))
	return now
}

// every calls f with the number of the call, at an interval for a total time. It waits for the last
// call.
func every(t *testing.T, interval, total time.Duration, f func(n int)) {
	t.Helper()
	ends := time.Now().Add(total)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-time.After(time.Until(ends)):
			return
		case <-t.Context().Done():
			return
		case <-tick.C:
		}
		if time.Now().After(ends) { // both were ready, and select has chosen this one
			return
		}
		f(n)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, within, 50*time.Millisecond, append([]any{what}, args...)...)
}
