package e2e

import (
	"cmp"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// newGuarded starts a service that requires keys and has some namespaces.
func newGuarded(t *testing.T, c app.Config, namespaces ...string) guarded {
	t.Helper()
	url := testdb.New(t)
	c.Role, c.Auth, c.Database = app.RoleAPI, app.AuthRequired, app.DatabaseConfig{URL: url}
	c.AuthFailuresPerMinute = 1_000_000 // the table has more than an address may send
	g := guarded{instance: start(t, c), pool: connect(t, url)}
	for _, name := range namespaces {
		makeNamespace(t, g.pool, name)
	}
	return g
}

// guarded is a service that requires keys, with its database.
type guarded struct {
	instance
	pool *pgxpool.Pool
}

// key makes a key with some scopes. An empty namespace stands for all of them.
func (g guarded) key(t *testing.T, namespace string, scopes ...access.Scope) (id, key string) {
	t.Helper()
	return makeKey(t, g.pool, cmp.Or(namespace, access.DefaultNamespace), keys.Request{
		Description: "of a test", Scopes: scopes, IsServiceWide: namespace == "",
	})
}

// expiredKey makes a key that was valid until a moment ago.
func (g guarded) expiredKey(t *testing.T, namespace string) string {
	t.Helper()
	id, key := g.key(t, namespace)
	_, err := g.pool.Exec(t.Context(), `update keys set expires_at = now() where id = $1`, id)
	require.NoError(t, err)
	return key
}

// revokedKey makes a key that is revoked.
func (g guarded) revokedKey(t *testing.T, namespace string) string {
	t.Helper()
	id, key := g.key(t, namespace)
	require.NoError(t, keys.New(keys.Config{Pool: g.pool}).Revoke(t.Context(), access.Command(namespace), id))
	return key
}

// unknownKeys returns a key that nobody has made, and one with the id of a key and another secret.
func (g guarded) unknownKeys(t *testing.T, namespace string) (nobodys, forged string) {
	t.Helper()
	gone, nobodys := g.key(t, namespace)
	other, forged := g.key(t, namespace)
	_, err := g.pool.Exec(t.Context(), `delete from keys where id = $1`, gone)
	require.NoError(t, err)
	_, err = g.pool.Exec(t.Context(), `update keys set secret_sha256 = sha256('another') where id = $1`, other)
	require.NoError(t, err)
	return nobodys, forged
}

// allBut returns the scopes besides one.
func allBut(scope access.Scope) []access.Scope {
	return slices.DeleteFunc(slices.Clone(access.Scopes), func(s access.Scope) bool { return s == scope })
}

// altered returns a key with one other character, at a place counted from the end.
func altered(key string, fromEnd int) string {
	at := len(key) - fromEnd
	other := "a"
	if key[at:at+1] == other {
		other = "b"
	}
	return key[:at] + other + key[at+1:]
}

// idsIn returns the ids of everything in a namespace that a request could show.
func (g guarded) idsIn(t *testing.T, namespace string) (ids []string) {
	t.Helper()
	rows, err := g.pool.Query(t.Context(), `
		select id::text from jobs where namespace = $1
		union all select id::text from leases where starts_with(queue, $1 || '/')
		union all select id from keys where namespace = $1`, namespace)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
		if job, err := uuid.Parse(id); err == nil {
			ids = append(ids, job.String()[19:]) // what the ids of its runs end in
		}
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, ids)
	return ids
}
