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

// Start runs cmd, a testserver without arguments, and returns when its database accepts
// connections. The error is the sentence that testserver printed.
//
// The server stops when its standard input ends. The kernel closes that even if this process is
// killed, when no clean-up code of ours would run.
func Start(cmd *exec.Cmd) (*Server, error) {
	// Stderr is passed on as a file. Output that this process had to copy would be lost when it
	// ends.
	cmd.Stderr = os.Stderr
	// Signals for our process group, such as Ctrl-C or the end of a whole build, must not reach the
	// process that cleans up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		return nil, fmt.Errorf("start testserver (or set TEST_DATABASE_URL, which needs none): %w", err)
	}

	// The output is one line: the URL, or the reason why there is none.
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
