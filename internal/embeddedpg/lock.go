package embeddedpg

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// lock shows which process owns a data directory. It is a lock of the kernel: it ends with the
// process, however the process dies, and PostgreSQL does not inherit it, because Go opens files
// close-on-exec.
type lock struct {
	file *os.File
	once sync.Once
}

// acquire locks the directory for this process. It returns an error at once if another process has
// locked it.
func (d directory) acquire(who *account) (*lock, error) {
	file, err := os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = file.Close() }()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the data directory %s: %w", d.root, err)
		}
		owner, _ := io.ReadAll(io.LimitReader(file, 32))
		return nil, fmt.Errorf("another Punctual process (pid %s) is using the data directory %s: stop it, or choose another data directory",
			strings.TrimSpace(string(owner)), d.root)
	}

	held := &lock{file: file}
	if err := errors.Join(who.own(file), file.Truncate(0), writeAt(file, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		held.release()
		return nil, fmt.Errorf("write the lock of the data directory: %w", err)
	}
	return held, nil
}

// release unlocks the directory. The file stays: if it were removed, two processes could lock two
// files of the same name.
func (l *lock) release() {
	l.once.Do(func() {
		// Unlocking before closing also covers a copy of the descriptor in a child that is between
		// fork and exec.
		_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
		_ = l.file.Close()
	})
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}
