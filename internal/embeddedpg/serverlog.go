package embeddedpg

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// logPrefix puts the kind of the server process before each line: "client backend|ERROR: ...".
	logPrefix = "%b|"
	tailLines = 10
)

// serverLog writes the server's log to ours, line by line, and keeps its end for error messages.
//
// The server writes to a pipe and not to a file: a file would grow without limit, and one log is
// easier to watch. If we are killed, the server continues without a log.
type serverLog struct {
	logger  *slog.Logger
	serving atomic.Bool // before and after it, the server's complaints about being asked too early or ended are no news

	mu      sync.Mutex
	partial []byte
	last    []string
}

func newServerLog(logger *slog.Logger) *serverLog {
	return &serverLog{logger: logger.With("component", "postgresql")}
}

// Write takes any part of the log. It never fails, because an error would stop the server's output
// for good.
func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, b...)
	for {
		line, rest, complete := bytes.Cut(l.partial, []byte("\n"))
		if !complete {
			return len(b), nil
		}
		l.line(string(line))
		l.partial = rest
	}
}

func (l *serverLog) line(line string) {
	backend, text, ok := strings.Cut(line, "|")
	if !ok {
		backend, text = "", line
	}
	level := slog.LevelDebug
	if l.serving.Load() {
		level = severity(backend, text)
	}
	l.logger.Log(context.Background(), level, text, "process", backend)

	if l.last = append(l.last, text); len(l.last) > tailLines {
		l.last = l.last[1:]
	}
}

// tail returns the end of the log, for people.
func (l *serverLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(l.last, strings.TrimSpace(string(l.partial))), "\n")
}

// severity returns the level of a line of the log. Errors of clients are for debugging, because the
// client gets them anyway. Errors of background processes, such as a full disk during a checkpoint,
// appear nowhere else.
func severity(backend, text string) slog.Level {
	word, _, _ := strings.Cut(text, ":")
	switch word {
	case "WARNING", "FATAL", "PANIC":
		return slog.LevelWarn
	case "ERROR":
		if backend != "client backend" && backend != "parallel worker" {
			return slog.LevelWarn
		}
	}
	return slog.LevelDebug
}
