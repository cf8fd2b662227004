package testdb

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// QueryFiles returns the paths of the files that sqlc reads the statements from, as a package that
// is two directories below the root sees them.
func QueryFiles(t *testing.T) (files []string) {
	t.Helper()
	for _, directory := range []string{"sql/queries", "gen/sql"} {
		found, err := filepath.Glob("../../" + directory + "/*.sql")
		require.NoError(t, err)
		require.NotEmpty(t, found, directory)
		files = append(files, found...)
	}
	return files
}
