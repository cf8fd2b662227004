package executor

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// place is one connection, crm in the namespace payments, as tests change it.
type place struct {
	mu      sync.Mutex
	current *Connection
}

func (p *place) Connection(_ context.Context, namespace, key string) (*Connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || namespace != "payments" || key != "crm" {
		return nil, ErrNoConnection
	}
	return p.current, nil
}

func (p *place) set(c Connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.ID, c.Namespace, c.Key = uuid.MustParse("019ab1c2-0000-7000-8000-00000000000c"), "payments", "crm"
	p.current = &c
}

// connected returns an executor of targets with the connection, which can call this machine at the
// addresses.
func connected(t *testing.T, c Connection, signer Signer, addresses ...net.Addr) (*HTTP, *place) {
	t.Helper()
	cfg := HTTPConfig{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Signer: signer}
	for _, address := range addresses {
		tcp, ok := address.(*net.TCPAddr)
		require.True(t, ok, "an address of TCP")
		cfg.AllowPorts = append(cfg.AllowPorts, tcp.AddrPort().Port())
	}
	p := &place{}
	p.set(c)
	cfg.Connections = p
	return NewHTTP(cfg), p
}

// through makes an attempt of a target with the connection.
func through(t *testing.T, h *HTTP, definition, secrets fields) (*Result, error) {
	t.Helper()
	if definition["connection"] == nil {
		definition["connection"] = "crm"
	}
	return h.Execute(t.Context(), newRun(t, definition, secrets))
}
