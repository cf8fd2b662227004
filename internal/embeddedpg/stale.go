package embeddedpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stalePoll = 20 * time.Millisecond
	// staleGrace is how long a server that was left behind may take for a clean shutdown before it
	// is ended without one.
	staleGrace = 30 * time.Second
)

// stopStale stops the server that a killed process has left on the data. The new server has to be
// our own child, because only a child's end can be waited for. The caller holds the lock, so nobody
// else uses the server.
//
// pg_ctl is not used: some packages of binaries lack it, and it would signal any process that has
// the number in postmaster.pid, even one that got the number later.
func (d directory) stopStale(ctx context.Context, logger *slog.Logger) error {
	path := filepath.Join(d.clusterPath(), "postmaster.pid")
	// O_NOFOLLOW, because we may be root here, and PostgreSQL's account can write in the cluster.
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a PostgreSQL left behind: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("look for a PostgreSQL left behind: %w", err)
	}
	pid, rest, err := parsePidFile(content)
	if err != nil {
		// A power failure has torn the file. PostgreSQL would not start because of it, and advises
		// to remove it.
		logger.Warn("removing a damaged postmaster.pid", "path", path)
		return os.Remove(path)
	}

	// The process is looked up before it is checked, so that the signals below reach the checked
	// process, on systems where Go supports that.
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	defer func() { _ = process.Release() }()
	if !d.serves(ctx, pid) {
		if process.Signal(syscall.Signal(0)) != nil {
			return nil // dead, as PostgreSQL will see
		}
		// Another process has the number now, as often happens in a container, and PostgreSQL would
		// refuse to start because of it. PostgreSQL ignores our own number, because we are its
		// parent. It uses the rest of the file to check whether processes of the old server are
		// still attached to its memory. So the file is changed and not removed.
		logger.Debug("postmaster.pid names a process that is not PostgreSQL", "pid", pid)
		if err := errors.Join(file.Truncate(0), writeAt(file, strconv.Itoa(os.Getpid())+"\n"+rest)); err != nil {
			return fmt.Errorf("correct %s: %w", path, err)
		}
		return nil
	}

	logger.Warn("stopping a PostgreSQL that an earlier process left behind", "pid", pid, "data", d.root)
	return d.endStale(ctx, process)
}

// endStale requests a fast shutdown, later an immediate one, and waits until the process is gone.
func (d directory) endStale(ctx context.Context, process *os.Process) error {
	if err := process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the PostgreSQL left behind (pid %d): %w", process.Pid, err)
	}
	poll := time.NewTicker(stalePoll)
	defer poll.Stop()
	grace := time.After(staleGrace)
	// The process itself would still answer a signal while it is dead and its new parent has not
	// reaped it.
	for d.serves(ctx, process.Pid) {
		select {
		case <-poll.C:
		case <-grace:
			_ = process.Signal(syscall.SIGQUIT)
		case <-ctx.Done():
			return fmt.Errorf("a PostgreSQL left behind on %s (pid %d) did not stop in time: %w", d.clusterPath(), process.Pid, ctx.Err())
		}
	}
	return nil
}

// serves reports whether the process is a PostgreSQL server on this cluster. Such a process has the
// cluster as its working directory.
func (d directory) serves(ctx context.Context, pid int) bool {
	cluster, err := filepath.EvalSymlinks(d.clusterPath())
	if err != nil {
		return false
	}
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
		return err == nil && cwd == cluster
	}
	// macOS has no /proc. There the command line has to do, in which startProcess puts the
	// directory.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	command, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(command), "postgres") && strings.Contains(string(command), " -D "+d.clusterPath()+" ")
}

// parsePidFile splits postmaster.pid into its first line, the process, and the rest.
func parsePidFile(content []byte) (pid int, rest string, err error) {
	first, after, _ := bytes.Cut(content, []byte("\n"))
	pid, err = strconv.Atoi(strings.TrimSpace(string(first)))
	if err == nil && pid < 0 {
		pid = -pid // a server in single-user mode
	}
	if err == nil && pid == 0 {
		err = errors.New("no process")
	}
	return pid, string(after), err
}
