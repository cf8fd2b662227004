// Package outbound makes HTTP requests to URLs that users name, and keeps them from what only this machine and its network
// should reach.
package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	dialTimeout         = 10 * time.Second
	tlsHandshakeTimeout = 10 * time.Second
	// idleConnTimeout is shorter than what servers and the boxes in between commonly allow a connection to be idle.
	idleConnTimeout = 55 * time.Second
	// maxIdleConns bounds the connections kept for later requests, of which one host may have half: as many as it has requests
	// at a time, else every request above that is another handshake.
	maxIdleConns = 2048
	// maxHeaderBytes bounds the headers of an answer, informational ones before it included.
	maxHeaderBytes = 64 << 10
	// maxStreamBuffer is how much an HTTP/2 server may send of one answer before it is read: net/http's default is 4 MiB.
	maxStreamBuffer = 64 << 10
	// pingAfter is how long an HTTP/2 connection is silent before it is asked whether it is alive. One that is lost without
	// a word would take every later request of its host with it.
	pingAfter = 15 * time.Second
)

// Config says what may be reached beside public addresses on ports 80 and 443. The zero value is valid.
type Config struct {
	// AllowCIDRs are networks that may be reached though they are private or reserved.
	AllowCIDRs []netip.Prefix
	// AllowPorts may be reached beside 80 and 443, on every address that may be reached.
	AllowPorts []uint16
	// Resolver looks names up; nil: the system's does.
	Resolver *net.Resolver
}

// Client makes requests, many at a time.
type Client struct {
	guard     guard
	transport *http.Transport
}

// New makes a client. It uses no proxy: what a proxy reaches could not be judged.
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
		ForceAttemptHTTP2:      true, // having a dialer of its own, it would not otherwise
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: maxStreamBuffer, SendPingTimeout: pingAfter},
		DisableCompression:     true, // a small answer must not become a large one
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns / 2,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}}
}

var errProtocolSwitch = errors.New("answered 101 Switching Protocols, which was not asked for")

// Do makes one request, as [http.RoundTripper] does: redirects are not followed, and cookies not kept. What the URL or an
// address it resolves to forbids is a [*RefusedError]. The request's context bounds also the reading of the answer's body.
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
		// Its body is the bare connection, which knows nothing of the context: whoever reads it may wait for ever.
		_ = resp.Body.Close()
		return nil, errProtocolSwitch
	}
	return resp, nil
}
