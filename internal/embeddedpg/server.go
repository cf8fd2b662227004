// Package embeddedpg runs a PostgreSQL server that belongs to this process. The server starts and
// stops with the service, listens on the loopback interface only, and keeps its data between
// starts. Punctual uses it as its built-in PostgreSQL (--embedded), and tests use it as a throwaway
// server.
package embeddedpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"time"
)

// The role and the database that every server of this package has. The role is a superuser.
const (
	roleName     = "punctual"
	databaseName = "punctual"
)

const (
	// startAttempts bounds how often a start is repeated after a failure that passes by itself: see
	// errPassing.
	startAttempts = 20
	attemptPause  = 250 * time.Millisecond
	// undoTimeout bounds how long a server may take to stop after a failed start, and after the
	// signal for an immediate shutdown.
	undoTimeout = 10 * time.Second
)

// Config describes one server. Zero means default, except for DataDir.
type Config struct {
	// DataDir holds everything that is kept between starts: the cluster, its password and a lock.
	// Required. It is created if it is missing, and only its owner can read it. If the process is
	// root, PostgreSQL's unprivileged account has to be able to reach it: a directory of
	// os.MkdirTemp will do, and one of testing.T.TempDir will not.
	DataDir string
	// BinDir is the directory of the programs postgres and initdb. Default: the newest PostgreSQL
	// of this machine (see Find), or one that is fetched if there is none.
	BinDir string
	// Logger receives the server's log: its warnings as warnings, everything else at debug level.
	// Default: slog.Default().
	Logger *slog.Logger
	// Settings are PostgreSQL settings that have priority over the cluster's files, such as
	// fsync=off. Settings that this package needs for itself, such as port, are refused.
	Settings map[string]string
}

// Server is a running PostgreSQL server.
type Server struct {
	url     string
	process *process
	lock    *lock
}

// outside is what Start uses of the machine. Tests replace it.
type outside struct {
	places     []string            // glob patterns of bin directories to search
	port       func() (int, error) // a port that is probably free
	repository string              // where binaries are fetched from; empty: the library's default
}

// Start starts a server on c.DataDir and returns when the database accepts connections. It creates
// the cluster unless it exists, and first stops a server that an earlier process has left on the
// same data. ctx bounds the start, not the life of the server.
//
// The error is one sentence that says what to do: if another process owns the data directory, if no
// usable binaries are found or fetched, if they do not fit the existing data, and if the
// unprivileged account cannot reach a directory. If the server itself refuses to start, the error
// ends with the last lines of its log.
func Start(ctx context.Context, c Config) (*Server, error) {
	return start(ctx, c, outside{places: searchPlaces(), port: freePort})
}

func start(ctx context.Context, c Config, out outside) (_ *Server, err error) {
	logger := cmp.Or(c.Logger, slog.Default())
	if c.DataDir == "" {
		return nil, errors.New("the built-in PostgreSQL needs a data directory")
	}
	if err := checkSettings(c.Settings); err != nil {
		return nil, err
	}

	dir, who, err := openDirectory(c.DataDir)
	if err != nil {
		return nil, err
	}
	held, err := dir.acquire(who)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			held.release()
		}
	}()

	dir.sweep(logger)
	major, err := dir.major()
	if err != nil {
		return nil, err
	}
	if err := dir.stopStale(ctx, logger); err != nil {
		return nil, err
	}
	bin, err := obtain(ctx, c.BinDir, major, dir, out, logger)
	if err != nil {
		return nil, err
	}
	if err := who.checkReach(ctx, dir.root, bin.dir); err != nil {
		return nil, err
	}
	password, err := dir.cluster(ctx, bin, who, c.Settings["fsync"] == "off")
	if err != nil {
		return nil, err
	}

	began := time.Now()
	for attempt := 1; ; attempt++ {
		port, err := out.port()
		if err != nil {
			return nil, err
		}
		address := url.URL{
			Scheme: "postgres", User: url.UserPassword(roleName, password),
			Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + databaseName, RawQuery: "sslmode=disable",
		}
		p, err := startProcess(ctx, bin, dir, who, address, c.Settings, logger)
		if errors.Is(err, errPassing) && attempt < startAttempts && pause(ctx, attemptPause) {
			logger.Debug("starting PostgreSQL again", "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		logger.Info("the built-in PostgreSQL is ready", "version", bin.version, "port", port, "data", dir.root,
			"took", time.Since(began).Round(time.Millisecond))
		return &Server{url: address.String(), process: p, lock: held}, nil
	}
}

// URL returns the connection string of the database, postgres://..., which includes the password.
func (s *Server) URL() string { return s.url }

// Done returns a channel that is closed when the server process has ended, because of Stop or a
// crash.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Stop shuts the server down: it rolls back open transactions, writes everything to disk, and
// releases the data directory. If ctx ends first, the server ends without that last write and the
// error wraps ctx's; nothing committed is lost, because the next start recovers it. Stop may be
// called repeatedly, also after a crash; then it only releases the directory.
func (s *Server) Stop(ctx context.Context) error {
	err := s.process.stop(ctx)
	s.lock.release()
	return err
}

// freePort asks the kernel for a free port. Another program may take the port before PostgreSQL
// does; start then tries another one.
func freePort() (int, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("choose a port for PostgreSQL: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// pause waits for d. It reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
