package database_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"punctual/internal/database"
)

func TestDiagnose(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]database.Trouble{
		"08006": database.Unavailable, "57P01": database.Unavailable, "57P03": database.Unavailable,
		"57014": database.Overloaded, "55P03": database.Overloaded, "53300": database.Overloaded, "53200": database.Overloaded,
		"53100": database.Full, "25006": database.ReadOnly,
		"23505": database.NoTrouble, "42P01": database.NoTrouble, "40P01": database.NoTrouble,
	} {
		require.Equal(t, want, database.Diagnose(fmt.Errorf("read: %w", &pgconn.PgError{Code: code})), code)
	}
	require.Equal(t, database.Overloaded, database.Diagnose(fmt.Errorf("acquire: %w", context.DeadlineExceeded)))
	require.Equal(t, database.Unavailable, database.Diagnose(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)))
	require.Equal(t, database.NoTrouble, database.Diagnose(errors.New("another")))
	require.Equal(t, database.NoTrouble, database.Diagnose(nil))
}
