package embeddedpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// cluster creates the cluster unless it exists, and returns the password of its role. With fast,
// the new files are not synced to disk.
func (d directory) cluster(ctx context.Context, bin binaries, who *account, fast bool) (string, error) {
	_, err := os.Lstat(d.clusterPath())
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look at existing data: %w", err)
	}
	password, err := d.password(exists, who)
	if err != nil {
		return "", err
	}
	if exists {
		if err := who.ownTree(d.clusterPath()); err != nil {
			return "", fmt.Errorf("give the data to user %s: %w", who.name, err)
		}
		return password, nil
	}
	return password, d.initCluster(ctx, bin, who, password, fast)
}

// password returns the role's password, which it creates if there is no cluster yet. All users of
// the machine can connect to the loopback interface, so the data need a secret that these users
// cannot read.
func (d directory) password(exists bool, who *account) (string, error) {
	path := d.path("password")
	text, err := os.ReadFile(path)
	if password := strings.TrimSpace(string(text)); err == nil && password != "" {
		return password, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the database password: %w", err)
	}
	if exists {
		return "", fmt.Errorf("the data in %s are there but their password is not: restore the file %s", d.clusterPath(), path)
	}
	password := rand.Text()
	if err := writeSecret(path, password, who); err != nil {
		return "", fmt.Errorf("write the database password: %w", err)
	}
	return password, nil
}

// initCluster creates the cluster in a temporary directory and renames it when it is complete, so
// that an interrupted one is never mistaken for a complete one.
func (d directory) initCluster(ctx context.Context, bin binaries, who *account, password string, fast bool) error {
	temp, err := os.MkdirTemp(d.root, "init-")
	if err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }()

	secret, data := filepath.Join(temp, "password"), filepath.Join(temp, "data")
	if err := writeSecret(secret, password, who); err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	if who != nil {
		if err := os.Lchown(temp, who.uid, who.gid); err != nil {
			return fmt.Errorf("make a database cluster: %w", err)
		}
	}
	args := []string{
		"--pgdata=" + data, "--username=" + roleName, "--pwfile=" + secret, "--auth=scram-sha-256",
		// Byte order is the only collation that an update of the system's C library never changes
		// under an index.
		"--encoding=UTF8", "--locale=C", "--no-instructions",
	}
	if fast {
		args = append(args, "--no-sync")
	}
	cmd := who.command(ctx, temp, filepath.Join(bin.dir, "initdb"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = undoTimeout
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a database cluster with PostgreSQL %s: %w: %s", bin.version, errors.Join(ctx.Err(), err), oneLine(out))
	}
	if err := os.Rename(data, d.clusterPath()); err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	if err := syncDir(d.root); err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	return nil
}

// writeSecret durably writes a file that only we and the account can read. It replaces an existing
// file.
func writeSecret(path, text string, who *account) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "init-") // mode 0600; sweep knows the name
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(text + "\n")
	if err := errors.Join(err, who.own(temp), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
