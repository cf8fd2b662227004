// Package embeddedpg runs a real PostgreSQL server that belongs to this process: it is started with the service, listens
// on the loopback only, keeps its data between starts and is shut down with the service. It is what Punctual uses when
// no DATABASE_URL is set, and what tests use to get a throwaway server.
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
	// startAttempts bounds how often a start is tried again after a failure that passes by itself: see errPassing.
	startAttempts = 20
	attemptPause  = 250 * time.Millisecond
	// undoTimeout is how long the server of a start that failed half-way may take to stop, and a crashed-out
	// server after the hard signal.
	undoTimeout = 10 * time.Second
)

// Config describes one server. Zero means default, except for DataDir.
type Config struct {
	// DataDir is where everything is kept across restarts: the cluster, its password and a lock. It is made when
	// missing, readable by nobody else. Required. When the process is root it must be reachable for the unprivileged
	// account that PostgreSQL runs under; a directory made by os.MkdirTemp is, the one of testing.T.TempDir is not.
	DataDir string
	// BinDir is the directory with postgres and initdb. Empty: the newest PostgreSQL of this machine, see Find, and
	// when there is none it is fetched.
	BinDir string
	// Logger gets what the server logs: its warnings as warnings, all else at debug level. Default: slog.Default().
	Logger *slog.Logger
	// Settings are PostgreSQL settings that go before those in the cluster's files, such as fsync=off. Those that
	// this package needs for itself, such as port, are refused.
	Settings map[string]string
}

// Server is a running PostgreSQL server.
type Server struct {
	url     string
	process *process
	lock    *lock
}

// outside is what Start takes from the machine, and what a test of it replaces.
type outside struct {
	places     []string            // glob patterns of bin directories to search
	port       func() (int, error) // a port that is probably free
	repository string              // where binaries are fetched from; empty: the library's default
}

// Start starts a server on c.DataDir, makes the cluster first when there is none, and returns when the database
// accepts connections. ctx bounds the start only, not the server's life. A server that an earlier process left behind
// on the same data is stopped first.
//
// It fails, with one sentence that says what to do, when another live process owns the data directory, when no usable
// binaries are found or fetched, when they do not fit existing data, and when an unprivileged account that is needed
// cannot reach a directory. When the server itself refuses to start, the error ends with the last lines of its log.
func Start(ctx context.Context, c Config) (*Server, error) {
	return start(ctx, c, outside{places: searchPlaces(), port: freePort})
}

func start(ctx context.Context, c Config, out outside) (_ *Server, err error) {
	logger := cmp.Or(c.Logger, slog.Default())
	if c.DataDir == "" {
		return nil, errors.New("embedded PostgreSQL needs a data directory")
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
		logger.Info("PostgreSQL is ready", "version", bin.version, "port", port, "data", dir.root,
			"took", time.Since(began).Round(time.Millisecond))
		return &Server{url: address.String(), process: p, lock: held}, nil
	}
}

// URL is the address of the database, with its password, as a connection string of the form postgres://...
func (s *Server) URL() string { return s.url }

// Done is closed when the server process has ended, by Stop or because it crashed.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Stop shuts the server down: open transactions are rolled back, everything is written, and the data directory is
// released. When ctx ends first, the server is ended without that last write; nothing committed is lost, the next start
// recovers it, and the error wraps ctx's. Stop may be called often, and after a crash, when it only releases the directory.
func (s *Server) Stop(ctx context.Context) error {
	err := s.process.stop(ctx)
	s.lock.release()
	return err
}

// freePort asks the kernel for a port. It is free again when this returns, so that somebody else may take it before
// PostgreSQL does; start then tries another.
func freePort() (int, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("choose a port for PostgreSQL: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// pause waits and reports whether ctx still allows to go on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
