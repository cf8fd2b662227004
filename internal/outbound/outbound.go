// Package outbound sends HTTP requests to URLs that users name, and refuses those that lead to this
// machine or its network, unless the operator allows them.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	dialTimeout         = 10 * time.Second
	tlsHandshakeTimeout = 10 * time.Second
	// idleConnTimeout is shorter than the common idle timeouts of servers, firewalls and load
	// balancers.
	idleConnTimeout = 55 * time.Second
	// maxIdleConns is how many connections are kept for later requests. One host can have half of
	// them: if it were fewer than its concurrent requests, every request above that would need
	// another handshake.
	maxIdleConns = 2048
	// maxHeaderBytes is the limit of the headers of an answer, including informational answers
	// before it.
	maxHeaderBytes = 64 << 10
	// maxStreamBuffer is how much of one answer an HTTP/2 server can send before it is read. The
	// default of net/http is 4 MiB.
	maxStreamBuffer = 64 << 10
	// pingAfter is how long an HTTP/2 connection can be silent before it is pinged. Without pings,
	// a connection that was lost silently would make every later request to its host fail.
	pingAfter = 15 * time.Second
)

// Config says what can be called in addition to public addresses on ports 80 and 443. The zero
// value is valid.
type Config struct {
	// AllowCIDRs are private or reserved networks that can be called, too.
	AllowCIDRs []netip.Prefix
	// AllowPorts are ports that can be called, too, on every address that can be called.
	AllowPorts []uint16
	// Resolver looks names up. The default is that of the system.
	Resolver *net.Resolver
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	guard     guard
	transport *http.Transport
}

// WithTLS returns a client that judges addresses as c does and keeps connections of its own, with a
// configuration of TLS of its own.
func (c *Client) WithTLS(config *tls.Config) *Client {
	transport := c.transport.Clone()
	transport.TLSClientConfig = config
	return &Client{guard: c.guard, transport: transport}
}

// CloseIdle closes the connections that are kept for later requests.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// New returns a client. It uses no proxy, because it could not judge the addresses that a proxy
// connects to.
func New(cfg Config) *Client {
	guard := newGuard(cfg)
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: cfg.Resolver, Control: guard.control}
	return &Client{guard: guard, transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return newConn(c), nil
		},
		TLSHandshakeTimeout:    tlsHandshakeTimeout,
		ForceAttemptHTTP2:      true, // a transport with its own dialer does not otherwise
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: maxStreamBuffer, SendPingTimeout: pingAfter},
		DisableCompression:     true, // a small answer must not become a large one
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns / 2,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}}
}

var errProtocolSwitch = errors.New("answered 101 Switching Protocols, which was not asked for")

// RoundTrip is Do, so that a Client is an [http.RoundTripper].
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.Do(req) }

// Do sends a request as [http.RoundTripper] does: it does not follow redirects and keeps no
// cookies. It returns a [*RefusedError] if the URL, or an address of its host, is not allowed. The
// request is sent at most once. The context of the request also bounds the reading of the body.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if err := c.guard.checkURL(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := send(c.transport, req)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return nil, refused // without the address, which is around it
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return nil, errName
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the bare connection, which ignores the context: a read from it could block
		// for ever.
		_ = resp.Body.Close()
		return nil, errProtocolSwitch
	}
	return resp, nil
}
