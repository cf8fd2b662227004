package enginetest

import (
	"testing"

	"punctual/internal/testdb"
)

// NewTraced is New with a note of the statements.
func NewTraced(t *testing.T) (*Engine, *testdb.Statements) {
	t.Helper()
	pool, sent := testdb.Traced(t)
	return newOn(t, pool), sent
}
