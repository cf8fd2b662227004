package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// losesAnswer has the operations whose answer cannot be made again, because the audit does not tell
// what they have left as it was.
var losesAnswer = []string{"applyJobs", "changeJobs", "changeRuns"}

// Each operation of the contract that has the parameter can be repeated, after its answer and after
// its answer was lost: it changes nothing a second time.
func TestIdempotencyKey_ofEachOperation(t *testing.T) { //nolint:tparallel // each counts all entries of the audit
	t.Parallel()
	url := testdb.New(t)
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}, SecretKeys: keyring(t, "contract")})
	pool := connect(t, url)
	c := contractOf(t, service.url)
	c.things = newThings(t, service)
	bodies := map[string]func(*testing.T) string{ // instead of the one that is derived
		"applyJobs": func(*testing.T) string {
			return `{"definitions":[{"key":"a/b","name":"applied","intervalInSeconds":60}]}`
		},
		"changeJobs": func(t *testing.T) string {
			t.Helper()
			return `{"action":"RUN","selector":{"ids":["` + service.createJob(t, "many", 3600, `1`).Id.String() + `"]}}`
		},
		"changeRuns": func(t *testing.T) string {
			t.Helper()
			return `{"action":"RETRY","selector":{"ids":["` + c.things.makers["runs"](t).id + `"]}}`
		},
	}
	tested := 0
	for _, op := range operations(c.spec) {
		if op.Parameters.GetByInAndName("header", "Idempotency-Key") == nil {
			assert.False(t, op.method == http.MethodPost && op.Responses.Status(http.StatusCreated) != nil,
				"%s creates something, so it has the parameter", op.OperationID)
			continue
		}
		tested++
		t.Run(op.OperationID, func(t *testing.T) {
			p := c.valid(t, op)
			p.header.Set("Idempotency-Key", uuid.NewString())
			if body := bodies[op.OperationID]; body != nil {
				p.body = []byte(body(t))
			}
			c.repeat(t, pool, p)
		})
	}
	require.GreaterOrEqual(t, tested, 10)
}

// repeat sends a request that has an Idempotency-Key again and again.
func (c *contract) repeat(t *testing.T, pool *pgxpool.Pool, p probe) {
	t.Helper()
	send := func() answer {
		t.Helper()
		p.header.Set("X-Request-Id", "deploy-42") // a client may repeat this, too
		got, err := c.send(t, p)
		require.NoError(t, err)
		require.NoError(t, c.checkForm(t, p, got), "%s%s", p, got)
		return got
	}
	changes := func() int { return count(t, pool, `select count(*) from audit`) }
	same := func(want, got answer) {
		t.Helper()
		require.Equal(t, want.StatusCode, got.StatusCode, "%s%s", p, got)
		require.Equal(t, string(want.body), string(got.body))
		for _, name := range []string{"Location", "ETag", "Content-Type"} {
			require.Equal(t, want.Header.Get(name), got.Header.Get(name), name)
		}
	}

	before := changes()
	first := send()
	require.Less(t, first.StatusCode, 300, "%s%s", p, first)
	done := changes()
	require.Equal(t, done, count(t, pool, `select count(*) from audit where request_id is distinct from 'deploy-42'`),
		"what it changes is written down under an id that no other request has")
	again := send()
	require.Equal(t, done, changes())
	if p.operation.OperationID == "createKey" {
		require.Equal(t, "key-already-created", problemIn(again).Code)
		return
	}
	same(first, again)

	_, err := pool.Exec(t.Context(), `update idempotency_keys set status = null, location = null, etag = null, body = null,
		instance_id = $1 where created_at = (select max(created_at) from idempotency_keys)`, uuid.New())
	require.NoError(t, err)
	rebuilt := send()
	switch {
	case done == before:
		return // it has changed nothing, and is served anew
	case slices.Contains(losesAnswer, p.operation.OperationID):
		require.Equal(t, "answer-lost", problemIn(rebuilt).Code)
	default:
		same(first, rebuilt)
	}
	require.Equal(t, done, changes(), "nothing is done a second time")
	same(rebuilt, send())
}
