package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

// keyed is two processes of the service and their database, in which a trigger makes statements on
// idempotency_keys wait until the test lets them go on.
type keyed struct {
	url        string
	db         *pgx.Conn
	first      *exec.Cmd
	firstURL   string
	second     *exec.Cmd
	secondURL  string
	firstsTurn chan answered
}

// answered is what a client gets.
type answered struct {
	status         int
	location, body string
}

// post sends the request that is repeated. The status is zero if there is no answer.
func post(url string) answered {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/api/v1/jobs",
		strings.NewReader(`{"name":"once","intervalInSeconds":3600}`))
	if err != nil {
		return answered{}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "the-same")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answered{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answered{}
	}
	return answered{resp.StatusCode, resp.Header.Get("Location"), string(body)}
}

// keyedProcesses starts the processes, and has the first one wait at a statement, such as "insert",
// of the request.
func keyedProcesses(t *testing.T, statement string) *keyed {
	t.Helper()
	k := &keyed{url: testdb.New(t), firstsTurn: make(chan answered, 1)}
	binary := build(t)
	k.first, k.firstURL = k.serve(t, binary)
	k.second, k.secondURL = k.serve(t, binary)
	var err error
	k.db, err = pgx.Connect(t.Context(), k.url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.db.Close(context.Background())) })
	k.exec(t, `create function wait_for_the_test() returns trigger language plpgsql as
		$$ begin perform pg_advisory_xact_lock(4711); return new; end $$`)
	k.exec(t, `create trigger wait_for_the_test before `+statement+` on idempotency_keys
		for each row execute function wait_for_the_test()`)
	k.exec(t, `select pg_advisory_lock(4711)`)
	go func() { k.firstsTurn <- post(k.firstURL) }()
	require.Eventually(t, func() bool { return k.count(t, `select count(*) from pg_stat_activity `+waiting) == 1 },
		20*time.Second, 10*time.Millisecond, "the first request waits")
	return k
}

// waiting is the condition for sessions that wait for the test.
const waiting = `where datname = current_database() and wait_event = 'advisory'`

// serve starts a process of the service.
func (k *keyed) serve(t *testing.T, binary string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "serve", "--port=0")
	cmd.Dir = t.TempDir() // no .env
	cmd.Env = append(os.Environ(), "DATABASE_URL="+k.url)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only if it has ended
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			go func() {
				for lines.Scan() { // or the pipe fills, and the service waits for it
				}
			}()
			return cmd, line.URL
		}
	}
	require.FailNow(t, "the service does not serve")
	return nil, ""
}

func (k *keyed) exec(t *testing.T, sql string) {
	t.Helper()
	_, err := k.db.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func (k *keyed) count(t *testing.T, sql string) (n int) {
	t.Helper()
	require.NoError(t, k.db.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

// letGo lets the statements go on, and none waits any more.
func (k *keyed) letGo(t *testing.T) {
	t.Helper()
	k.exec(t, `select pg_advisory_unlock(4711)`)
	require.Eventually(t, func() bool { return k.count(t, `select count(*) from pg_stat_activity `+waiting) == 0 },
		20*time.Second, 10*time.Millisecond, "nobody waits any more")
	k.exec(t, `drop trigger wait_for_the_test on idempotency_keys`)
}

// repeat sends the request to the second process until it is not refused as being in use, which
// ends when the first one counts as dead.
func (k *keyed) repeat(t *testing.T) (got answered) {
	t.Helper()
	require.Eventually(t, func() bool {
		got = post(k.secondURL)
		if got.status == http.StatusConflict {
			require.Contains(t, got.body, `"idempotency-key-in-use"`)
		}
		return got.status != http.StatusConflict
	}, 30*time.Second, 100*time.Millisecond, "the place is taken")
	require.Equal(t, http.StatusCreated, got.status, got.body)
	require.Equal(t, got, post(k.secondURL))
	return got
}

// A process is killed when it has created a job and has not stored the answer. A repeated request
// gets the answer, and creates no other job.
func TestIdempotencyKey_killedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	k := keyedProcesses(t, "update")
	require.Equal(t, 1, k.count(t, `select count(*) from jobs`), "the job is committed")
	require.NoError(t, k.first.Process.Kill())
	require.Zero(t, (<-k.firstsTurn).status, "the client gets no answer")
	k.exec(t, `select pg_terminate_backend(pid) from pg_stat_activity `+waiting) // or it would store the answer
	k.letGo(t)
	require.Equal(t, 1, k.count(t, `select count(*) from idempotency_keys where status is null`))

	got := k.repeat(t)
	var id string
	require.NoError(t, k.db.QueryRow(t.Context(), `select '/api/v1/jobs/' || id from jobs`).Scan(&id))
	require.Equal(t, id, got.location)
	require.Equal(t, 1, k.count(t, `select count(*) from jobs`))
	require.Equal(t, 1, k.count(t, `select count(*) from audit`))
}

// A process is stopped before it creates the job, for so long that another takes its place. When it
// goes on, it creates nothing.
func TestIdempotencyKey_stoppedBeforeTheChange(t *testing.T) {
	t.Parallel()
	k := keyedProcesses(t, "insert")
	require.NoError(t, k.first.Process.Signal(syscall.SIGSTOP))
	k.letGo(t)
	require.Equal(t, 1, k.count(t, `select count(*) from idempotency_keys where status is null`))
	got := k.repeat(t)

	require.NoError(t, k.first.Process.Signal(syscall.SIGCONT))
	late := <-k.firstsTurn
	require.Equal(t, http.StatusConflict, late.status, late.body)
	require.Contains(t, late.body, `"idempotency-key-in-use"`)
	require.Equal(t, 1, k.count(t, `select count(*) from jobs`))
	require.Equal(t, got, post(k.firstURL), "it knows the answer of the other")
}
