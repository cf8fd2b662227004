package app

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// headerWithin is how long the header of a request may take to arrive.
	headerWithin = 10 * time.Second
	// idleFor is how long a connection may wait for its next request.
	idleFor = 2 * time.Minute
	// writeTimeout bounds a request from its header to the end of its response, so that clients that
	// do not read hold no memory for long. It is longer than a worker may wait for a lease, 30 s.
	writeTimeout = 75 * time.Second
	// maxHeaderBytes bounds the header of a request.
	maxHeaderBytes = 64 << 10
)

// newServer returns the HTTP server of an instance. How long a body may take depends on its size,
// so the API sees to that.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerWithin,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleFor,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}

// defaultMaxConnections leaves room for ten thousand workers that wait, and for thousands of other
// connections.
const defaultMaxConnections = 16_000

// otherFiles is how many files an instance opens besides the connections of its clients, of its
// targets and of its pools.
const otherFiles = 100

// maxConnections returns how many connections of clients may be open: MAX_CONNECTIONS, unless the
// system allows the process fewer files. Then the poller and the pools need some of them.
func (c Config) maxConnections(ctx context.Context, files uint64, log *slog.Logger) int {
	others := c.MaxConcurrentRuns + c.EngineConnections + c.APIConnections + otherFiles
	if uint64(c.MaxConnections+others) <= files {
		return c.MaxConnections
	}
	allowed := max(int(files)-others, int(files)/2)
	if allowed >= c.MaxConnections {
		return c.MaxConnections
	}
	log.WarnContext(ctx, "the system allows this process too few open files for MAX_CONNECTIONS, so it accepts fewer connections",
		"openFiles", files, "maxConnections", c.MaxConnections, "accepted", allowed)
	return allowed
}

// boundedSocket is a socket whose server serves a bounded number of connections. Others wait in the
// queue of the socket. It leaves the connections as they are, other than netutil.LimitListener: the
// server needs to close them in one direction, so that a client can read why it was refused.
type boundedSocket struct {
	net.Listener
	log     *slog.Logger
	slots   chan struct{} // has an element for each open connection
	closing chan struct{}
	close   func() error
	// warnedAt is when the log said that connections have to wait.
	warnedAt time.Time
}

// warnEach is how often the log says that connections have to wait.
const warnEach = time.Minute

// bound makes a server serve at most limit connections of a socket at a time.
func bound(server *http.Server, socket net.Listener, limit int, log *slog.Logger) *boundedSocket {
	s := &boundedSocket{Listener: socket, log: log, slots: make(chan struct{}, limit), closing: make(chan struct{})}
	s.close = sync.OnceValue(func() error {
		close(s.closing)
		return socket.Close()
	})
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			<-s.slots
		}
	}
	return s
}

// Accept waits for a connection, and until there may be one more.
func (s *boundedSocket) Accept() (net.Conn, error) {
	select {
	case s.slots <- struct{}{}:
	default:
		if time.Since(s.warnedAt) > warnEach {
			s.log.Warn("all connections are in use, and new ones have to wait", "maxConnections", cap(s.slots))
			s.warnedAt = time.Now()
		}
		select {
		case s.slots <- struct{}{}:
		case <-s.closing:
			return nil, net.ErrClosed
		}
	}
	conn, err := s.Listener.Accept()
	if err != nil {
		<-s.slots
	}
	return conn, err
}

// open returns how many connections are open, and how many may be.
func (s *boundedSocket) open() (open, allowed int) { return len(s.slots), cap(s.slots) }

// Close closes the socket, but no connection.
func (s *boundedSocket) Close() error { return s.close() }

// openFiles returns how many files this process may have open. The Go runtime has raised the limit
// to the highest one that it may have.
func openFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return min(uint64(limit.Cur), math.MaxInt32) //nolint:unconvert // it has a sign on some systems
}
