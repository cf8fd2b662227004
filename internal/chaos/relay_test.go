//go:build chaos

package chaos

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// relay forwards connections of instances to PostgreSQL. It can lose answers: the request is
// executed and committed, but the client does not learn it. It can also hold requests back and
// deliver them after the client has given up.
type relay struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	armed    map[net.Conn]bool // whether the next answer on the connection is lost
	lost     int               // how many answers were lost
	open     chan struct{}     // closed while requests may pass
	late     []int             // the relay's ports of connections with requests that were held back
}

func startRelay(t *testing.T, p *postgres) *relay {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	r := &relay{
		listener: listener, server: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		armed: map[net.Conn]bool{}, open: make(chan struct{}),
	}
	close(r.open)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			go r.pass(conn)
		}
	}()
	return r
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// pass forwards requests and answers of one connection.
func (r *relay) pass(conn net.Conn) {
	defer conn.Close()
	if r.held() { // new connections fail meanwhile
		return
	}
	server, err := net.Dial("tcp", r.server)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.armed[conn] = false
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.armed, conn)
		r.mu.Unlock()
	}()
	go r.ask(conn, server)
	answer := make([]byte, 64<<10)
	for {
		n, err := server.Read(answer)
		if err != nil || r.loses(conn) {
			return
		}
		if _, err := conn.Write(answer[:n]); err != nil {
			return
		}
	}
}

// ask forwards requests, late if they are held back. It closes the connection to the server when
// the client has closed its own.
func (r *relay) ask(conn, server net.Conn) {
	defer server.Close()
	question := make([]byte, 64<<10)
	for {
		n, err := conn.Read(question)
		if n > 0 && r.held() {
			r.mu.Lock()
			r.late = append(r.late, server.LocalAddr().(*net.TCPAddr).Port)
			r.mu.Unlock()
		}
		r.mu.Lock()
		open := r.open
		r.mu.Unlock()
		<-open
		if _, failed := server.Write(question[:n]); failed != nil || err != nil {
			return
		}
	}
}

// loses reports whether an answer on a connection is lost, and counts it.
func (r *relay) loses(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.armed[conn] {
		r.lost++
	}
	return r.armed[conn]
}

// loseNext loses the next answer on each connection that exists now.
func (r *relay) loseNext() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.armed {
		r.armed[conn] = true
	}
}

// hold holds requests back until release delivers them.
func (r *relay) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

// release delivers the requests that were held back, and returns the ports from which it does.
func (r *relay) release() (ports []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.open)
	ports, r.late = r.late, nil
	return ports
}

func (r *relay) held() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.open:
		return false
	default:
		return true
	}
}
