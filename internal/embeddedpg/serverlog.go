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
	// logPrefix puts the kind of server process before each line: "client backend|ERROR:  ...".
	logPrefix = "%b|"
	tailLines = 10
)

// serverLog passes the server's log on, line by line, and keeps its end for error messages.
//
// A pipe to our own log, and not a file: a file would grow without bound, and one log is easier to watch. When we are
// killed the server goes on without it.
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

// Write takes any part of the log. It never fails, since that would end the server's output for good.
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

// tail is the end of the log, for people.
func (l *serverLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(l.last, strings.TrimSpace(string(l.partial))), "\n")
}

// severity is the level at which a line is worth the operator's attention. A client gets its own errors anyway; those of
// the server's background processes, such as a full disk at a checkpoint, are seen nowhere else.
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
