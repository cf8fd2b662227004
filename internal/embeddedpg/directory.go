package embeddedpg

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// directory is Config.DataDir, absolute. In it:
//
//	lock          held by the process that owns the directory
//	password      of the role punctual
//	cluster/      PostgreSQL's own data directory; it only ever appears complete
//	init-*/       a cluster that is being made
//	binaries/     fetched ones, where the user's cache directory does not do
type directory struct{ root string }

func (d directory) path(name string) string { return filepath.Join(d.root, name) }

func (d directory) clusterPath() string { return d.path("cluster") }

// openDirectory creates the directory unless it exists, and picks the account for PostgreSQL's
// programs.
//
// A new or empty directory is closed to all others. A directory that contains files keeps its mode
// and its owner: it may be a home directory or a mount, and the cluster in it is closed anyway.
func openDirectory(path string) (directory, *account, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return directory{}, nil, fmt.Errorf("data directory: %w", err)
	}
	d := directory{root: root}

	above := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		above = 0o711 // the unprivileged account has to pass
	}
	if err := os.MkdirAll(filepath.Dir(root), above); err != nil {
		return d, nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return d, nil, fmt.Errorf("make the data directory: %w", err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return d, nil, fmt.Errorf("read the data directory: %w", err)
	}
	who, err := chooseAccount(d.clusterPath(), root)
	if err != nil {
		return d, nil, err
	}

	uid, _, _ := owner(root)
	if len(entries) > 0 || uid != os.Geteuid() {
		return d, who, nil
	}
	mode := fs.FileMode(0o700)
	if who != nil {
		// The directory stays root's, so that PostgreSQL's account cannot create links for root to
		// follow. The account may only pass through.
		mode = 0o710
		if err := os.Lchown(root, 0, who.gid); err != nil {
			return d, nil, fmt.Errorf("let PostgreSQL's user into the data directory: %w", err)
		}
	}
	if err := os.Chmod(root, mode); err != nil {
		return d, nil, fmt.Errorf("close the data directory: %w", err)
	}
	return d, who, nil
}

// sweep removes what an interrupted start has left. A failure only costs space, so it is logged and
// the start continues.
func (d directory) sweep(logger *slog.Logger) {
	leftovers, _ := filepath.Glob(d.path("init-*"))
	for _, path := range leftovers {
		if err := os.RemoveAll(path); err != nil {
			logger.Warn("could not remove what an interrupted start left", "path", path, "error", err)
		}
	}
}

// major returns the PostgreSQL major version of the data, or 0 if there are none yet.
func (d directory) major() (int, error) {
	info, err := os.Lstat(d.clusterPath())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at existing data: %w", err)
	}
	if uid, _, _ := owner(d.clusterPath()); os.Geteuid() != 0 && uid != os.Geteuid() {
		return 0, fmt.Errorf("the data in %s belong to another user (uid %d): run Punctual as that user, or choose another data directory",
			d.clusterPath(), uid)
	}
	text, err := os.ReadFile(filepath.Join(d.clusterPath(), "PG_VERSION"))
	version, parseErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || parseErr != nil || !info.IsDir() {
		return 0, fmt.Errorf("%s is not a PostgreSQL data directory: move it away, or choose another data directory", d.clusterPath())
	}
	return version, nil
}

// syncDir makes the directory's entries durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	// Some file systems cannot sync a directory and return EINVAL. They do not need it either.
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
