package embeddedpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// minMajor is the oldest PostgreSQL that Punctual works with.
const minMajor = 15

// remedy ends every error about missing binaries.
const remedy = "install PostgreSQL 15 or newer, point PUNCTUAL_POSTGRES_BIN at its bin directory, or set DATABASE_URL"

// versionPattern matches "postgres (PostgreSQL) 15.14 (Debian ...)", and "18beta1" of an unreleased
// version.
var versionPattern = regexp.MustCompile(`^postgres \(.*?\) ((\d+)(?:\.(\d+))?\S*)`)

// binaries is one installation of PostgreSQL.
type binaries struct {
	dir          string
	version      string
	major, minor int
}

// Find returns the absolute path of the bin directory to use: binDir if it is not empty, or else
// that of the newest PostgreSQL in PATH and in the places where Debian, Red Hat, Homebrew and
// Postgres.app install it. It fetches nothing. It returns an error if there is no PostgreSQL 15 or
// newer.
func Find(binDir string) (string, error) {
	found, err := search(context.Background(), binDir, searchPlaces(), slog.Default())
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no PostgreSQL binaries found: " + remedy)
	}
	return found[0].dir, nil
}

// searchPlaces returns PATH and the usual places, as patterns for filepath.Glob.
func searchPlaces() []string {
	return append(filepath.SplitList(os.Getenv("PATH")),
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	)
}

// obtain returns binaries for data of the given major version, or of any version if that is 0. It
// fetches them if the machine has none.
func obtain(ctx context.Context, binDir string, major int, dir directory, out outside, logger *slog.Logger) (binaries, error) {
	cache := fetchPlace(dir)
	found, err := search(ctx, binDir, append(out.places, filepath.Join(cache, "*", "bin")), logger)
	if err != nil {
		return binaries{}, err
	}
	if len(found) == 0 {
		return fetch(ctx, cache, major, out.repository, logger)
	}
	if major == 0 {
		return found[0], nil
	}
	fits := slices.IndexFunc(found, func(b binaries) bool { return b.major == major })
	if fits < 0 {
		return binaries{}, fmt.Errorf("the data in %s were made by PostgreSQL %d but the binaries in %s are PostgreSQL %d: "+
			"point PUNCTUAL_POSTGRES_BIN at the bin directory of PostgreSQL %[2]d, or choose another data directory",
			dir.clusterPath(), major, found[0].dir, found[0].major)
	}
	return found[fits], nil
}

// search returns the usable binaries, newest first. If binDir is not empty, it looks only there,
// and the error says what is wrong with it.
func search(ctx context.Context, binDir string, places []string, logger *slog.Logger) ([]binaries, error) {
	if binDir != "" {
		b, err := inspect(ctx, binDir)
		if err != nil {
			return nil, fmt.Errorf("no usable PostgreSQL binaries in %s: %w: %s", binDir, err, remedy)
		}
		return []binaries{b}, nil
	}

	var found []binaries
	for _, place := range places {
		dirs, _ := filepath.Glob(place)
		for _, dir := range dirs {
			b, err := inspect(ctx, dir)
			if err == nil {
				found = append(found, b)
			} else if !errors.Is(err, os.ErrNotExist) {
				logger.Debug("PostgreSQL binaries passed over", "dir", dir, "reason", err)
			}
		}
	}
	if err := ctx.Err(); err != nil { // then nothing was found only because nobody could be asked
		return nil, fmt.Errorf("search for PostgreSQL binaries: %w", err)
	}
	// Stable: of two equal versions the one in the earlier place is used.
	slices.SortStableFunc(found, func(a, b binaries) int {
		return cmp.Or(cmp.Compare(b.major, a.major), cmp.Compare(b.minor, a.minor))
	})
	return found, nil
}

// inspect asks the binaries for their version. That they answer shows that they run on this
// machine.
func inspect(ctx context.Context, dir string) (binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, err
	}
	postgres := filepath.Join(dir, "postgres")
	for _, program := range []string{postgres, filepath.Join(dir, "initdb")} {
		if _, err := os.Stat(program); err != nil {
			return binaries{}, err
		}
	}
	// PATH may hold a link to a directory that has the other programs too.
	if info, err := os.Lstat(postgres); err == nil && info.Mode()&os.ModeSymlink != 0 {
		if target, err := filepath.EvalSymlinks(postgres); err == nil && isFile(filepath.Join(filepath.Dir(target), "initdb")) {
			dir, postgres = filepath.Dir(target), target
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, postgres, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return binaries{}, fmt.Errorf("postgres --version: %w: %s", err, oneLine(out))
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("postgres --version says %q", oneLine(out))
	}
	b := binaries{dir: dir, version: string(match[1])}
	b.major, _ = strconv.Atoi(string(match[2]))
	b.minor, _ = strconv.Atoi(string(match[3]))
	if b.major < minMajor {
		return binaries{}, fmt.Errorf("they are PostgreSQL %s, and %d is the oldest that works", b.version, minMajor)
	}
	return b, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
