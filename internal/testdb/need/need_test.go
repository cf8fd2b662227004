package need_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/need"
)

// recorder is a test that does not end when it is skipped or fails.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Name() string          { return "TestOfAnother" }
func (r *recorder) Skip(...any)           { r.skipped = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; panic(r) }

func TestProgram(t *testing.T) { // not parallel: it sets the environment
	list := filepath.Join(t.TempDir(), "skipped")
	require.NoError(t, os.WriteFile(list, nil, 0o600))
	t.Setenv(need.SkippedFile, list)
	t.Setenv("CI", "")
	require.NotEmpty(t, need.Program(t, "go", "no-such-program", "go"))

	another := &recorder{TB: t}
	need.Program(another, "a-package", "no-such-program", "nor-this-one")
	require.True(t, another.skipped)
	text, err := os.ReadFile(list)
	require.NoError(t, err)
	require.Equal(t, "TestOfAnother needs no-such-program or nor-this-one (package a-package)\n", string(text))

	t.Setenv("CI", "true")
	another = &recorder{TB: t}
	require.Panics(t, func() { need.Program(another, "a-package", "no-such-program") })
	require.True(t, another.failed, "CI skips nothing")
}
