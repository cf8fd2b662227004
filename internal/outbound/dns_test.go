package outbound

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers DNS queries on a UDP port of this machine.
type nameServer struct {
	mu sync.Mutex
	// lookups counts the queries for A records of each name.
	lookups map[string]int
	// answer is what a name resolves to at the nth query for it, counted from 1.
	answer func(name string, nth int) []netip.Addr
}

// resolver starts a name server that ends with the test, and returns a resolver that asks it.
func resolver(t *testing.T, answer func(name string, nth int) []netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &nameServer{lookups: map[string]int{}, answer: answer}
	var serving sync.WaitGroup
	serving.Go(func() { server.serve(t, conn) })
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (s *nameServer) serve(t *testing.T, conn net.PacketConn) {
	t.Helper()
	query := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(query)
		if err != nil {
			return // closed
		}
		var message dnsmessage.Message
		if err := message.Unpack(query[:n]); err != nil {
			t.Errorf("a query that cannot be read: %v", err)
			return
		}
		message.Response, message.Authoritative = true, true
		message.Additionals = nil
		message.Answers = s.records(message.Questions[0])
		packed, err := message.Pack()
		if err != nil {
			t.Errorf("an answer that cannot be sent: %v", err)
			return
		}
		_, _ = conn.WriteTo(packed, from) // what is lost is asked for again
	}
}

func (s *nameServer) records(question dnsmessage.Question) (records []dnsmessage.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.TrimSuffix(question.Name.String(), ".")
	if question.Type == dnsmessage.TypeA {
		s.lookups[name]++
	}
	header := dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: dnsmessage.ClassINET}
	for _, addr := range s.answer(name, max(s.lookups[name], 1)) {
		switch {
		case addr.Is4() && question.Type == dnsmessage.TypeA:
			records = append(records, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
			records = append(records, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return records
}
