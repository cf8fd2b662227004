package embeddedpg

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	fetchTimeout  = 10 * time.Minute
	fetchProgress = 5 * time.Second
	// fetchMegabytes is the approximate size of an archive of binaries, for the log.
	fetchMegabytes = 20
)

// fetchPlace returns where fetched binaries are kept: in the user's cache, or next to the data if
// the user has no cache or is root. Root's cache is closed to the account that runs PostgreSQL.
func fetchPlace(dir directory) string {
	if cache, err := os.UserCacheDir(); err == nil && os.Geteuid() != 0 {
		return filepath.Join(cache, "punctual", "binaries")
	}
	return dir.path("binaries")
}

// fetch downloads the binaries of a major version, 0 for the newest, into the directory place.
func fetch(ctx context.Context, place string, major int, repository string, logger *slog.Logger) (_ binaries, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("no PostgreSQL binaries found and none could be fetched: %s: %w", remedy, err)
		}
	}()
	version, ok := map[int]embeddedpostgres.PostgresVersion{
		0:  embeddedpostgres.V18,
		15: embeddedpostgres.V15, 16: embeddedpostgres.V16, 17: embeddedpostgres.V17, 18: embeddedpostgres.V18,
	}[major]
	if !ok {
		return binaries{}, fmt.Errorf("the data need PostgreSQL %d", major)
	}
	if err := os.MkdirAll(place, 0o755); err != nil {
		return binaries{}, err
	}
	temp, err := os.MkdirTemp(place, ".fetch-")
	if err != nil {
		return binaries{}, err
	}

	began := time.Now()
	logger.Info(fmt.Sprintf("fetching PostgreSQL %s, about %d MB", version, fetchMegabytes))
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	done := make(chan error, 1)
	// The library cannot be interrupted. If ctx ends first, the download ends by itself, and its
	// files are removed then.
	go func() { done <- unpack(temp, version, repository) }()
	progress := time.NewTicker(fetchProgress)
	defer progress.Stop()
	for {
		select {
		case err := <-done:
			defer func() { _ = os.RemoveAll(temp) }()
			b, err := install(ctx, temp, filepath.Join(place, string(version)), err)
			if err == nil {
				logger.Info(fmt.Sprintf("fetched PostgreSQL %s, done in %s", b.version, time.Since(began).Round(time.Millisecond)))
			}
			return b, err
		case <-progress.C:
			logger.Info(fmt.Sprintf("still fetching PostgreSQL %s after %s", version, time.Since(began).Round(time.Second)))
		case <-ctx.Done():
			go func() {
				logger.Debug("an abandoned fetch has ended", "error", <-done)
				_ = os.RemoveAll(temp)
			}()
			return binaries{}, ctx.Err()
		}
	}
}

// unpack uses the library to download, verify and unpack an archive into temp.
//
// The library has no function for only that: its Start continues by creating a cluster, which fails
// for root, and by running a server. We pass a role name that every initdb refuses, so that Start
// always ends right after unpacking. Whether it worked is visible from the unpacked files, not from
// the error of Start.
func unpack(temp string, version embeddedpostgres.PostgresVersion, repository string) error {
	port, err := freePort() // never used, but the library wants one that is free
	if err != nil {
		return err
	}
	config := embeddedpostgres.DefaultConfig().Version(version).Port(uint32(port)).Username("pg_unpack_only").
		CachePath(filepath.Join(temp, "archive")).BinariesPath(filepath.Join(temp, "binaries")).
		RuntimePath(filepath.Join(temp, "runtime")).DataPath(filepath.Join(temp, "data")).Logger(io.Discard)
	if repository != "" {
		config = config.BinaryRepositoryURL(repository)
	}
	server := embeddedpostgres.NewDatabase(config)
	if err := server.Start(); err != nil {
		return err
	}
	return server.Stop()
}

// install moves unpacked binaries to their final place if they run. cause says why there are none.
func install(ctx context.Context, temp, final string, cause error) (binaries, error) {
	unpacked := filepath.Join(temp, "binaries")
	if _, err := os.Stat(filepath.Join(unpacked, "bin", "postgres")); err != nil {
		return binaries{}, cause
	}
	if _, err := inspect(ctx, filepath.Join(unpacked, "bin")); err != nil {
		return binaries{}, err
	}
	// Existing files did not run before, unless somebody else has just fetched the same ones.
	if b, err := inspect(ctx, filepath.Join(final, "bin")); err == nil {
		return b, nil
	}
	if err := os.RemoveAll(final); err != nil {
		return binaries{}, err
	}
	if err := os.Rename(unpacked, final); err != nil {
		return binaries{}, err
	}
	return inspect(ctx, filepath.Join(final, "bin"))
}
