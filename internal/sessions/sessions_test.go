package sessions_test

import (
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/sessions"
	"punctual/internal/testdb"
)

var _ scs.CtxStore = (*sessions.Store)(nil)

func TestStore(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	q := db.New(pool)
	const token, key = "a-token-of-a-session", "a key that nobody may see"
	store := sessions.New(q)
	require.NoError(t, store.Commit(token, []byte("before"), time.Now().Add(time.Hour)))
	require.NoError(t, store.Commit(token, []byte(key), time.Now().Add(time.Hour)))
	another := sessions.New(q) // of another instance
	data, exists, err := another.Find(token)
	require.NoError(t, err)
	require.True(t, exists)
	require.Equal(t, key, string(data))

	var row string
	require.NoError(t, pool.QueryRow(t.Context(), "select encode(id, 'escape') || encode(sealed, 'escape') from sessions").Scan(&row))
	require.NotContains(t, row, token)
	require.NotContains(t, row, key)
	_, err = pool.Exec(t.Context(), "insert into sessions select sha256('another'), sealed, expires_at from sessions")
	require.NoError(t, err)
	_, _, err = store.Find("another")
	require.Error(t, err, "the data of a session is of no use in another one")

	require.NoError(t, store.Delete(token))
	_, exists, err = another.Find(token)
	require.NoError(t, err)
	require.False(t, exists)
	require.NoError(t, another.Commit(token, []byte(key), time.Now().Add(time.Hour)), "a request that began before")
	_, exists, err = store.Find(token)
	require.NoError(t, err)
	require.False(t, exists, "what has ended does not come back")
}

func TestStore_expiry(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	store := sessions.New(db.New(pool))
	require.NoError(t, store.Commit("old", []byte("x"), time.Now().Add(-time.Second)))
	require.NoError(t, store.Commit("new", []byte("x"), time.Now().Add(time.Hour)))
	_, exists, err := store.Find("old")
	require.NoError(t, err)
	require.False(t, exists)
	n, err := db.New(pool).PurgeSessions(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	_, exists, err = store.Find("new")
	require.NoError(t, err)
	require.True(t, exists)
}
