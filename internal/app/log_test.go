package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/logging"
	"punctual/internal/testdb"
)

// A line about a request says who made it, in which namespace, and nothing that is secret.
func TestLog_request(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	var written bytes.Buffer
	service, err := app.New(t.Context(), app.Config{
		Host: "127.0.0.1", Role: app.RoleAPI, Auth: app.AuthRequired, Database: app.DatabaseConfig{URL: url},
	}, logging.New(&written, slog.LevelInfo))
	require.NoError(t, err)
	db, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	key, plain, err := keys.New(keys.Config{Pool: db}).Create(t.Context(), access.Command("default"), keys.Request{Scopes: access.Scopes})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	for _, authorization := range []string{"Bearer " + plain.Reveal(), "Bearer " + plain.Reveal() + "x", ""} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.URL()+"/api/v1/jobs", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", authorization)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	stop()
	require.NoError(t, <-ended)

	var lines []string
	for line := range strings.Lines(written.String()) {
		if strings.Contains(line, `"msg":"request"`) {
			lines = append(lines, line)
		}
	}
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], `"actor":"key:`+key.ID+`","namespace":"default"`)
	for _, line := range lines[1:] {
		require.Contains(t, line, `"status":401`)
		require.Contains(t, line, `"actor":"","namespace":""`, "nobody knows who it was")
	}
	require.NotContains(t, written.String(), plain.Reveal())
}
