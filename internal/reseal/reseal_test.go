package reseal_test

import (
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/reseal"
	"punctual/internal/secrets"
	"punctual/internal/testdb"
)

func keys(t *testing.T, ids ...string) secrets.Keyring {
	t.Helper()
	for i, id := range ids {
		ids[i] = id + ":" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, 32)))
	}
	ring, err := secrets.ParseKeyring(strings.Join(ids, ","))
	require.NoError(t, err)
	return ring
}

// sealedJob stores a job with a secret.
func sealedJob(t *testing.T, pool *pgxpool.Pool, ring secrets.Keyring, secret string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	sealed, err := ring.Seal([]byte(secret), id[:])
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into jobs (id, namespace, updated_by, name, payload, run_at, jitter_seconds, delete_after_completion, misfire_policy, overlap_policy,
			max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds, run_history, status, created_at, updated_at,
			sealed_secrets, secrets_key_id, secrets_digest, secret_names, target)
		values ($1, 'default', 'test', 'sealed', '1', now(), 0, false, 'SKIP', 'SKIP', 1, 0, 0, 1, 'ALL', 'COMPLETED', now(), now(), $2, $3, $4, '{x}', '{}')`,
		id, sealed.Ciphertext, sealed.KeyID, sealed.Digest)
	require.NoError(t, err)
	return id
}

// sealedConnection stores a connection with a secret.
func sealedConnection(t *testing.T, pool *pgxpool.Pool, ring secrets.Keyring, secret string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	sealed, err := ring.Seal([]byte(secret), id[:])
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into connections (id, namespace, key, base_url, definition, sealed_secrets, secrets_key_id, secret_names, max_concurrency,
			is_adaptive, updated_by)
		values ($1, 'default', 'crm', 'https://example.com', '{}', $2, $3, '{x}', 1, true, 'test')`, id, sealed.Ciphertext, sealed.KeyID)
	require.NoError(t, err)
	return id
}

func TestAll(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	q := db.New(pool)
	quiet := slog.New(slog.DiscardHandler)
	jobs := []uuid.UUID{sealedJob(t, pool, keys(t, "a"), "one"), sealedJob(t, pool, keys(t, "a"), "two")}
	lost := sealedJob(t, pool, keys(t, "z"), "of a lost key")
	jobs = append(jobs, sealedJob(t, pool, keys(t, "b"), "three"))
	connection := sealedConnection(t, pool, keys(t, "a"), "four")

	resealed, left, err := reseal.All(t.Context(), q, keys(t, "b", "a"), quiet)
	require.NoError(t, err)
	require.Equal(t, 3, resealed, "those of the old key")
	require.Equal(t, 1, left, "secrets that do not open stay, and do not stop the others")
	for i, want := range []string{"one", "two", "three"} {
		var sealed secrets.Sealed
		require.NoError(t, pool.QueryRow(t.Context(), "select secrets_key_id, sealed_secrets, secrets_digest from jobs where id = $1", jobs[i]).
			Scan(&sealed.KeyID, &sealed.Ciphertext, &sealed.Digest))
		opened, err := keys(t, "b").Open(sealed, jobs[i][:])
		require.NoError(t, err, "the old key is no longer needed")
		require.Equal(t, want, string(opened))
		require.True(t, keys(t, "b").IsSame(sealed, []byte(want), jobs[i][:]), "the same secret is known")
	}
	var sealed secrets.Sealed
	require.NoError(t, pool.QueryRow(t.Context(), "select secrets_key_id, sealed_secrets from connections where id = $1", connection).
		Scan(&sealed.KeyID, &sealed.Ciphertext))
	opened, err := keys(t, "b").Open(sealed, connection[:])
	require.NoError(t, err, "connections have secrets, too")
	require.Equal(t, "four", string(opened))
	var key string
	require.NoError(t, pool.QueryRow(t.Context(), "select secrets_key_id from jobs where id = $1", lost).Scan(&key))
	require.Equal(t, "z", key)

	resealed, left, err = reseal.All(t.Context(), q, keys(t, "b", "a"), quiet)
	require.NoError(t, err)
	require.Zero(t, resealed, "doing it twice changes nothing")
	require.Equal(t, 1, left)
	_, _, err = reseal.All(t.Context(), q, secrets.Keyring{}, quiet)
	require.ErrorIs(t, err, secrets.ErrNoKey)
}
