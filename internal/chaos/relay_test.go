//go:build chaos

package chaos

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// relay stands between instances and PostgreSQL. It can lose answers: what was asked is done, and committed, and whoever
// asked does not learn it. It can also hold back what is asked, and deliver it late, when whoever asked has given up.
type relay struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	armed    map[net.Conn]bool // whether the next answer on it is lost
	lost     int               // answers
	open     chan struct{}     // closed when what is asked may pass
	late     []int             // our ports on connections where questions are held back
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

// pass passes on what is asked on a connection and what is answered.
func (r *relay) pass(conn net.Conn) {
	defer conn.Close()
	if r.held() { // a new connection gets nowhere
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

// ask passes on what is asked, late where it has to, and ends the server's end when all is.
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

// loses tells whether the answer that has come for a connection is to be lost.
func (r *relay) loses(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.armed[conn] {
		r.lost++
	}
	return r.armed[conn]
}

// loseNext loses the next answer on each connection there is now.
func (r *relay) loseNext() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.armed {
		r.armed[conn] = true
	}
}

// hold holds back what is asked from now on, until release delivers it.
func (r *relay) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

// release delivers what was held back, and returns the ports from which it is.
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
