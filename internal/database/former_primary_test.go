package database_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/database"
	"punctual/internal/testdb"
)

// A connection knows which server it leads to, and its end is noted.
func TestConnectionsAreKnown(t *testing.T) {
	t.Parallel()
	conn, err := database.Connect(t.Context(), testdb.New(t))
	require.NoError(t, err)
	timeline, isKnown := database.TimelineOf(conn)
	require.Regexp(t, "^[0-9A-F]{8}$", timeline)
	require.True(t, isKnown())
	require.NoError(t, conn.Close(context.Background()))
	require.False(t, isKnown())
}
