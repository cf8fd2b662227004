package embeddedpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// account is the unprivileged user that PostgreSQL's programs run as if this process is root,
// because they refuse to run as root. A nil account stands for our own user; its methods then do
// nothing.
type account struct {
	uid, gid int
	name     string
}

// chooseAccount picks the owner of the existing data, or else the first of the usual users that
// exists. So existing data stay with their owner, whoever starts the service.
func chooseAccount(paths ...string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, path := range paths {
		if uid, gid, ok := owner(path); ok && uid != 0 {
			name := strconv.Itoa(uid)
			if known, err := user.LookupId(name); err == nil {
				name = known.Username
			}
			return &account{uid: uid, gid: gid, name: name}, nil
		}
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		known, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseInt(known.Uid, 10, 64)
		gid, gidErr := strconv.ParseInt(known.Gid, 10, 64)
		if cmp.Or(uidErr, gidErr) == nil {
			return &account{uid: int(uint32(uid)), gid: int(uint32(gid)), name: name}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root and there is no user postgres or nobody: " +
		"run Punctual as another user, or set DATABASE_URL")
}

// command prepares one of PostgreSQL's programs.
func (a *account) command(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	// The service's environment contains secrets, and variables that PostgreSQL would take for
	// settings. It needs neither.
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	if libraries, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libraries)
	}
	// PostgreSQL gets a process group of its own, so that Ctrl-C in a terminal reaches only us, and
	// PostgreSQL lives until the service has drained. Pdeathsig is not used: it exists on Linux
	// only, and it fires when the thread that started the process ends, which in Go is not the end
	// of the process. A server that survives our SIGKILL is stopped by the next start anyway.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return cmd
}

// own gives the account an open file. It takes no path, so that nobody can replace the file in the
// meantime.
func (a *account) own(file *os.File) error {
	if a == nil {
		return nil
	}
	return file.Chown(a.uid, a.gid)
}

// ownTree gives the account a directory and everything in it, if the directory belongs to another
// user, for example after root has copied it.
func (a *account) ownTree(root string) error {
	if uid, _, ok := owner(root); a == nil || !ok || uid == a.uid {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
}

// checkReach returns an error that names the first place that the account may not enter, or the
// first program that it may not run. The programs are in the last directory.
func (a *account) checkReach(ctx context.Context, dirs ...string) error {
	if a == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	// The kernel is asked as that user, because mode bits do not tell about access lists and
	// read-only mounts.
	args := []string{"-c", `for p; do test -x "$p" || { printf %s "$p"; exit 1; }; done`, "sh"}
	for _, dir := range dirs {
		args = append(args, ancestors(dir)...)
	}
	last := dirs[len(dirs)-1]
	args = append(args, filepath.Join(last, "initdb"), filepath.Join(last, "postgres"))
	out, err := a.command(ctx, "/", "/bin/sh", args...).Output()
	if blocked := string(out); blocked != "" {
		return fmt.Errorf("PostgreSQL refuses to run as root and its user %s may not enter %s: allow it with chmod o+x %[2]s, "+
			"or choose another data directory or other binaries", a.name, blocked)
	}
	if err != nil {
		return fmt.Errorf("run a program as user %s, since PostgreSQL refuses to run as root: %w", a.name, err)
	}
	return nil
}

// ancestors returns an absolute path and all directories above it, beginning with the root.
func ancestors(path string) []string {
	var all []string
	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		all = append(all, path)
	}
	slices.Reverse(all)
	return all
}

// owner returns the owner of a file. It is not ok if there is no such file.
func owner(path string) (uid, gid int, ok bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// oneLine joins the lines of a program's output, for use in an error.
func oneLine(out []byte) string {
	return strings.Join(strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
