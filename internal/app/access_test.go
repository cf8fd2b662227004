package app_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

func TestStart_warnsOfNobody(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	start := func(c app.Config) (log string) {
		var written bytes.Buffer
		c.Database.URL = url
		service, err := app.New(t.Context(), c, slog.New(slog.NewJSONHandler(&written, nil)))
		require.NoError(t, err)
		require.NoError(t, service.Close())
		return written.String()
	}
	require.NotContains(t, start(app.Config{Host: "127.0.0.1"}), "punctual keys create", "nobody needs a key")
	required := app.Config{Host: "127.0.0.1", Auth: app.AuthRequired}
	require.Contains(t, start(required), "punctual keys create")
	require.NotContains(t, start(app.Config{Host: "127.0.0.1", Auth: app.AuthRequired, Role: app.RolePoller}), "punctual keys create")

	db, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	_, _, err = keys.New(keys.Config{Pool: db}).Create(t.Context(), access.Command("default"), keys.Request{Scopes: access.Scopes})
	require.NoError(t, err)
	require.NotContains(t, start(required), "punctual keys create", "somebody has a key")
}
