package connections_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/connections"
	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/secrets"
	"punctual/internal/testdb/enginetest"
)

var by = enginetest.By

// bench is an engine with a service of connections and what an instance knows of them.
type bench struct {
	*enginetest.Engine
	*connections.Service
	cache *connections.Cache
}

func setup(t *testing.T) bench {
	t.Helper()
	e := enginetest.New(t)
	keys, err := secrets.ParseKeyring("one:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	require.NoError(t, err)
	cache := connections.NewCache(e.Queries, keys)
	return bench{e, connections.New(connections.Config{
		Pool: e.Pool, Secrets: keys, Checker: executor.NewHTTP(executor.HTTPConfig{}), Changed: cache.Forget,
	}), cache}
}

func change(t *testing.T, body string) (c connections.Change) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), &c), body)
	return c
}

// make creates a connection with the key crm, whose other fields begin with a comma.
func (b bench) make(more string) {
	b.T.Helper()
	_, err := b.Service.Create(b.T.Context(), by, change(b.T, `{"key":"crm","baseUrl":"https://crm.example.com"`+more+`}`))
	require.NoError(b.T, err)
}

const callsCRM = `{"name":"calls","onDemand":true,"target":{"type":"http","connection":"crm"}}`

// waits returns when a session waits for a lock.
func (b bench) waits() {
	b.T.Helper()
	require.Eventually(b.T, func() bool {
		return b.Count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0
	}, 10*time.Second, 5*time.Millisecond, "it waits for the lock")
}

// A connection is deleted, or a job begins to use it, and never both.
func TestDeleteAgainstCreate(t *testing.T) {
	t.Parallel()
	t.Run("the job is first", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.make("")
		tx, err := b.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = db.New(tx).HoldConnection(t.Context(), db.HoldConnectionParams{Namespace: by.Namespace, Key: "crm"})
		require.NoError(t, err)
		deleted := make(chan error, 1)
		go func() { deleted <- b.Service.Delete(t.Context(), by, "crm") }()
		b.waits()
		b.Engine.Create(callsCRM) // it does not wait for the deletion
		require.NoError(t, tx.Rollback(t.Context()))
		var conflict *jobs.Conflict
		require.ErrorAs(t, <-deleted, &conflict)
		require.Equal(t, connections.InUse, conflict.Code)
	})
	t.Run("the deletion is first", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.make("")
		tx, err := b.Pool.Begin(t.Context())
		require.NoError(t, err)
		q := db.New(tx)
		row, err := q.LockConnection(t.Context(), db.LockConnectionParams{Namespace: by.Namespace, Key: "crm"})
		require.NoError(t, err)
		require.NoError(t, q.DeleteConnection(t.Context(), db.DeleteConnectionParams{ID: row.ID, Namespace: by.Namespace}))
		var job jobs.Change
		require.NoError(t, json.Unmarshal([]byte(callsCRM), &job))
		created := make(chan error, 1)
		go func() {
			_, err := b.Jobs.Create(t.Context(), by, job)
			created <- err
		}()
		b.waits()
		require.NoError(t, tx.Commit(t.Context()))
		require.Equal(t, []string{"target.connection not-found"}, faults(t, <-created))
	})
}

// faults returns the fields of an Invalid, each with its code.
func faults(t *testing.T, err error) (all []string) {
	t.Helper()
	var invalid *jobs.Invalid
	require.ErrorAs(t, err, &invalid)
	for _, field := range invalid.Fields {
		all = append(all, field.Name+" "+string(field.Code))
	}
	slices.Sort(all)
	return all
}

// A secret that a change leaves out goes to nobody else than before.
func TestMovesAskForSecrets(t *testing.T) {
	t.Parallel()
	const header, oauth, signed = `,"secretHeaders":{"X-Key":"s3cret"}`,
		`,"auth":{"type":"oauth2","tokenUrl":"https://id.example.com/a","clientId":"c","clientSecret":"s3cret"}`,
		`,"signingSecrets":["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]`
	b := setup(t)
	for name, row := range map[string]struct{ have, change, want string }{
		"a path":                   {header, `{"baseUrl":"https://crm.example.com/v2"}`, ""},
		"a host":                   {header + signed, `{"baseUrl":"https://evil.example.com"}`, "secretHeaders signingSecrets"},
		"a scheme":                 {header, `{"baseUrl":"http://crm.example.com"}`, "secretHeaders"},
		"credentials and a host":   {oauth, `{"baseUrl":"https://evil.example.com"}`, "auth.clientSecret"},
		"an endpoint for tokens":   {oauth, `{"auth":{"type":"oauth2","tokenUrl":"https://evil.example.com/a","clientId":"c"}}`, "auth.clientSecret"},
		"its path":                 {oauth, `{"auth":{"type":"oauth2","tokenUrl":"https://id.example.com/b","clientId":"c"}}`, ""},
		"a secret and a host":      {header, `{"baseUrl":"https://new.example.com","secretHeaders":{"X-Key":"other"}}`, ""},
		"no secret and a host":     {header, `{"baseUrl":"https://new.example.com","secretHeaders":{}}`, ""},
		"what the host must prove": {header + oauth, `{"tls":{"serverName":"evil.example.com"}}`, "auth.clientSecret secretHeaders"},
		"a limit":                  {header + signed, `{"maxPerSecond":1}`, ""},
	} {
		b.make(row.have)
		_, err := b.Update(t.Context(), by, "crm", change(t, row.change))
		if row.want == "" {
			require.NoError(t, err, name)
		} else {
			assert.Equal(t, row.want, strings.ReplaceAll(strings.Join(faults(t, err), " "), " secret-required", ""), name)
		}
		require.NoError(t, b.Service.Delete(t.Context(), by, "crm"))
	}
	// The secret of one way to authenticate is not that of another.
	b.make(`,"auth":{"type":"basic","username":"u","password":"s3cret"}`)
	_, err := b.Update(t.Context(), by, "crm", change(t, `{"auth":{"type":"none"}}`))
	require.NoError(t, err)
	view, err := b.Update(t.Context(), by, "crm", change(t, `{"auth":{"type":"basic","username":"u"}}`))
	require.NoError(t, err)
	require.Empty(t, view.SecretNames)
	require.Zero(t, b.Count(`select count(*) from audit a where a::text like '%s3cret%'`))
	require.Zero(t, b.Count(`select count(*) from connections c where c::text like '%s3cret%'`))
}

// What another namespace asks for is not there.
func TestConnectionsOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.make("")
	stranger := access.Anonymous("other")
	_, err := b.Get(t.Context(), stranger, "crm")
	require.ErrorIs(t, err, connections.ErrNotFound)
	_, err = b.Update(t.Context(), stranger, "crm", change(t, `{"maxConcurrency":1}`))
	require.ErrorIs(t, err, connections.ErrNotFound)
	require.ErrorIs(t, b.Service.Delete(t.Context(), stranger, "crm"), connections.ErrNotFound)
	all, err := b.List(t.Context(), stranger, "", 10)
	require.NoError(t, err)
	require.Empty(t, all)
	_, err = b.cache.Connection(t.Context(), by.Namespace, "crm")
	require.NoError(t, err)
	_, err = b.cache.Connection(t.Context(), "other", "crm")
	require.ErrorIs(t, err, executor.ErrNoConnection)
}

// An instance that hears of a change goes by it, also if the key is that of a new connection, or if
// the change began before the last one.
func TestCacheKnowsTheLastState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.make(`,"secretHeaders":{"X-Key":"s3cret"}`)
	require.Equal(t, 1, b.Count(`select count(*) from connection_states`), "without one, no run of the connection is claimed")
	known := func() *executor.Connection {
		c, err := b.cache.Connection(t.Context(), by.Namespace, "crm")
		require.NoError(t, err)
		return c
	}
	first := known()
	require.Equal(t, "s3cret", first.SecretHeaders["X-Key"])
	b.cache.Forget()
	require.Same(t, first, known(), "it has not changed")
	require.NoError(t, b.Service.Delete(t.Context(), by, "crm"))
	require.Zero(t, b.Count(`select count(*) from connection_states`))
	_, err := b.cache.Connection(t.Context(), by.Namespace, "crm")
	require.ErrorIs(t, err, executor.ErrNoConnection)
	b.make("")
	require.Empty(t, known().SecretHeaders)

	early, err := b.Pool.Begin(t.Context())
	require.NoError(t, err)
	var now time.Time
	require.NoError(t, early.QueryRow(t.Context(), `select now()`).Scan(&now))
	_, err = b.Update(t.Context(), by, "crm", change(t, `{"baseUrl":"https://crm.example.com/second"}`))
	require.NoError(t, err)
	require.Equal(t, "https://crm.example.com/second", known().BaseURL)
	q := db.New(early)
	row, err := q.LockConnection(t.Context(), db.LockConnectionParams{Namespace: by.Namespace, Key: "crm"})
	require.NoError(t, err)
	require.True(t, row.UpdatedAt.After(now))
	require.NoError(t, q.UpdateConnection(t.Context(), db.UpdateConnectionParams{
		ID: row.ID, Namespace: by.Namespace, BaseUrl: "https://crm.example.com/last", Definition: row.Definition,
		SecretNames: row.SecretNames, MaxConcurrency: row.MaxConcurrency, UpdatedBy: "test",
	}))
	require.NoError(t, early.Commit(t.Context()))
	b.cache.Forget()
	require.Equal(t, "https://crm.example.com/last", known().BaseURL)
}
