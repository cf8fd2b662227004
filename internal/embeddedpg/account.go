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

// account is the unprivileged user that PostgreSQL's programs run under when this process is root, since they refuse
// to run as root. A nil account means our own user, and then its methods have nothing to do.
type account struct {
	uid, gid int
	name     string
}

// chooseAccount picks the owner of what is there already, then the usual names. Existing data so stay with the user
// they belong to, whoever starts the service.
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
	// The service's own environment holds secrets, and variables that would reconfigure PostgreSQL; it needs none of them.
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	if libraries, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libraries)
	}
	// Its own process group, so that Ctrl-C in a terminal reaches only us and PostgreSQL lives until the service is
	// drained. No Pdeathsig: it fires when the starting thread ends, which in Go is not when the process ends, it
	// exists on Linux only, and a server that survives our SIGKILL is found and stopped by the next start anyway.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return cmd
}

// own gives the account a file that we have open. It takes no path, so that nothing can be put in its place meanwhile.
func (a *account) own(file *os.File) error {
	if a == nil {
		return nil
	}
	return file.Chown(a.uid, a.gid)
}

// ownTree gives the account a directory and all in it when they are root's, as after a copy made by root.
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

// checkReach makes sure that the account may enter the directories and run the programs in the last one, and names the
// first place where it may not.
func (a *account) checkReach(ctx context.Context, dirs ...string) error {
	if a == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	// The kernel is asked, as that user: mode bits alone would not tell about access lists or a read-only mount.
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

// ancestors lists an absolute path and the directories above it, the root first.
func ancestors(path string) []string {
	var all []string
	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		all = append(all, path)
	}
	slices.Reverse(all)
	return all
}

// owner tells whose a file is; ok is false when it is not there.
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

// oneLine makes a program's output fit into an error.
func oneLine(out []byte) string {
	return strings.Join(strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
