// Package launch starts the command testserver as a process that does not outlive this one.
package launch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Server is a running testserver.
type Server struct {
	URL string

	cmd   *exec.Cmd
	stdin io.Closer
}

// Start runs cmd, a testserver without arguments, and returns when its database accepts connections. The error is the
// sentence with which it failed.
//
// The server stops when its standard input ends. That is closed by the kernel even when this process is killed, which
// no clean-up code of ours would see; Go has no hook for a process's end anyway.
func Start(cmd *exec.Cmd) (*Server, error) {
	// The file itself: what had to be copied by this process would be lost with it.
	cmd.Stderr = os.Stderr
	// What is sent to our process group, such as a Ctrl-C or the kill of a whole build, must not reach the one that cleans up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		return nil, fmt.Errorf("start testserver (or set TEST_DATABASE_URL, which needs none): %w", err)
	}

	// Its whole output is one line: the URL, or why there is none.
	line, err := bufio.NewReader(stdout).ReadString('\n')
	line = strings.TrimSpace(line)
	if err == nil && strings.Contains(line, "://") && !strings.Contains(line, " ") {
		return &Server{URL: line, cmd: cmd, stdin: stdin}, nil
	}
	ended := errors.Join(stdin.Close(), cmd.Wait())
	if err != nil {
		return nil, fmt.Errorf("testserver ended without a word on its output, see stderr: %w", ended)
	}
	return nil, errors.New(line)
}

// Stop ends the server and returns when it is gone.
func (s *Server) Stop() error {
	return errors.Join(s.stdin.Close(), s.cmd.Wait())
}
