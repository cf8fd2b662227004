package app_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/secrets"
	"punctual/internal/testdb"
)

func TestStart_warnsOfMissingKeys(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	known, err := secrets.ParseKeyring(secrets.GenerateKey(time.Now().UTC()))
	require.NoError(t, err)
	id, _ := known.Current()
	start := func() (log string) {
		var written bytes.Buffer
		service, err := app.New(t.Context(), app.Config{
			Host: "127.0.0.1", Database: app.DatabaseConfig{URL: url}, SecretKeys: known,
		}, slog.New(slog.NewJSONHandler(&written, nil)))
		require.NoError(t, err)
		require.NoError(t, service.Close())
		return written.String()
	}
	store := func(key string) {
		_, err := conn.Exec(t.Context(), `
			insert into jobs (
				id, namespace, updated_by, name, payload, interval_seconds, anchor_at, jitter_seconds, delete_after_completion, misfire_policy,
				overlap_policy, max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds,
				run_history, target, sealed_secrets, secrets_key_id, secret_names, status, created_at, updated_at
			) values (
				$1, 'default', 'test', 'a job', '{}', 60, now(), 0, false, 'SKIP', 'SKIP', 1, 0, 0, 60, 'ALL', '{"type":"http"}',
				'sealed', $2, '{a}', 'ACTIVE', now(), now()
			)`, uuid.New(), key)
		require.NoError(t, err)
	}

	store(id)
	require.NotContains(t, start(), "SECRET_KEYS", "the key is there")
	store("lost-1")
	store("lost-1")
	store("lost-2")
	require.Contains(t, start(), `"jobsAndConnections":3,"missingKeys":"lost-1,lost-2"`)
}
