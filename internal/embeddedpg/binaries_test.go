package embeddedpg

import (
	"archive/zip"
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBinaries_find(t *testing.T) {
	t.Parallel()
	dir, err := Find("")
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(dir))
	again, err := Find(dir)
	require.NoError(t, err)
	require.Equal(t, dir, again)
}

func TestBinaries_newestIsUsed(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(dataDir(t))
	require.NoError(t, err)
	for name, version := range map[string]string{"a": "9.6.1", "b": "15.14 (Debian 15.14-1)", "c": "17.2", "d": "17.10", "e": "16beta1"} {
		script(t, filepath.Join(root, name, "bin", "postgres"), `echo "postgres (PostgreSQL) `+version+`"`)
		script(t, filepath.Join(root, name, "bin", "initdb"), "exit 1")
	}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "0", "bin"), 0o755))
	for _, program := range []string{"postgres", "initdb"} {
		require.NoError(t, os.Symlink(filepath.Join(root, "d", "bin", program), filepath.Join(root, "0", "bin", program)))
	}
	script(t, filepath.Join(root, "f", "bin", "postgres"), `echo "postgres (PostgreSQL) 18.1"`) // without initdb
	script(t, filepath.Join(root, "g", "bin", "postgres"), "echo error while loading shared libraries >&2; exit 127")
	script(t, filepath.Join(root, "g", "bin", "initdb"), "exit 1")

	out := outside{places: []string{"", filepath.Join(root, "missing"), filepath.Join(root, "*", "bin")}}
	found, err := search(testContext(t), "", out.places, slog.Default())
	require.NoError(t, err)
	var versions []string
	for _, b := range found {
		versions = append(versions, b.version)
	}
	require.Equal(t, filepath.Join(root, "d", "bin"), found[0].dir, "links are followed")
	require.Equal(t, []string{"17.10", "17.10", "17.2", "16beta1", "15.14"}, versions)

	d := directory{root: root}
	b, err := obtain(testContext(t), "", 15, d, out, slog.Default())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "b", "bin"), b.dir, "existing data keep their version")
	_, err = obtain(testContext(t), filepath.Join(root, "c", "bin"), 15, d, out, slog.Default())
	require.ErrorContains(t, err, "were made by PostgreSQL 15")
	_, err = search(testContext(t), filepath.Join(root, "a", "bin"), nil, slog.Default())
	require.ErrorContains(t, err, "9.6.1")
	_, err = search(testContext(t), filepath.Join(root, "g", "bin"), nil, slog.Default())
	require.ErrorContains(t, err, "error while loading shared libraries")
}

func TestBinaries_wrongDirectory(t *testing.T) {
	t.Parallel()
	c := config(dataDir(t))
	c.BinDir = filepath.Join(c.DataDir, "nothing-here")
	_, err := Start(testContext(t), c)
	require.ErrorContains(t, err, c.BinDir)
	require.ErrorContains(t, err, "PUNCTUAL_POSTGRES_BIN")
	require.NotContains(t, err.Error(), "\n")
	_, err = Find(c.BinDir)
	require.ErrorContains(t, err, c.BinDir)
}

func TestDirectory_accountCannotEnter(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(openDir(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	server, err := Start(testContext(t), config(filepath.Join(closed, "data")))
	if os.Geteuid() == 0 {
		require.ErrorContains(t, err, "may not enter "+closed+":")
		return
	}
	require.NoError(t, err, "our own directory is open to us")
	require.NoError(t, server.Stop(testContext(t)))
}

func TestFetch(t *testing.T) {
	t.Parallel()
	archive, err := os.ReadFile(filepath.Join("testdata", "binaries.txz"))
	require.NoError(t, err)
	var jar bytes.Buffer
	zipped := zip.NewWriter(&jar)
	entry, err := zipped.Create("postgres.txz")
	require.NoError(t, err)
	_, err = entry.Write(archive)
	require.NoError(t, err)
	require.NoError(t, zipped.Close())
	requests := 0
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(jar.Bytes())
	}))
	defer repository.Close()

	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	place := dataDir(t)
	b, err := fetch(testContext(t), place, 0, repository.URL, logger)
	require.NoError(t, err)
	require.Equal(t, 18, b.major)
	require.Equal(t, place, filepath.Dir(filepath.Dir(b.dir)))
	require.Contains(t, log.String(), "fetching PostgreSQL 18")
	require.Contains(t, log.String(), "done in")
	entries, err := os.ReadDir(place)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")

	found, err := search(testContext(t), "", []string{filepath.Join(place, "*", "bin")}, logger)
	require.NoError(t, err)
	require.Equal(t, []binaries{b}, found, "the next start finds them")
}

func TestFetch_failures(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)

	const sentence = "no PostgreSQL binaries found and none could be fetched: install PostgreSQL 15 or newer, " +
		"point PUNCTUAL_POSTGRES_BIN at its bin directory, or set DATABASE_URL"
	logger := slog.New(slog.DiscardHandler)
	_, err := fetch(testContext(t), dataDir(t), 17, refusing.URL, logger)
	require.ErrorContains(t, err, sentence)
	require.NotContains(t, err.Error(), "\n")
	_, err = fetch(testContext(t), dataDir(t), 42, refusing.URL, logger)
	require.ErrorContains(t, err, "the data need PostgreSQL 42")

	ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	_, err = fetch(ctx, dataDir(t), 0, hanging.URL, logger)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
