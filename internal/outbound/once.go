package outbound

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
)

// errNotRepeated ends a request that net/http was about to send a second time.
var errNotRepeated = fmt.Errorf("the connection was closed after the request was sent: %w", io.ErrUnexpectedEOF)

// once watches the sending of one request. When a connection that was used before breaks, net/http sends a request again
// by itself if it is a GET or has an Idempotency-Key, also when the server may have executed it. That would be an attempt
// that nobody counts, so it is stopped unless nothing of the request was written.
//
// HTTP/2 is left alone: there a request is repeated when the server says that it has not looked at it.
type once struct {
	cancel context.CancelCauseFunc
	conn   *conn // the last one that the request was given; nil if it is shared
	before int64 // what was written to it before
	// isReused reports whether it had another request before. A new connection that fails is not replaced.
	isReused bool
}

// send makes the request by the transport. It repeats the request itself where net/http does not, though nothing of it was
// written: when a body is larger than net/http's buffer.
func send(transport http.RoundTripper, req *http.Request) (*http.Response, error) {
	for {
		ctx, cancel := context.WithCancelCause(req.Context())
		o := once{cancel: cancel}
		trace := &httptrace.ClientTrace{GetConn: o.getConn, GotConn: o.gotConn}
		resp, err := transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
		if err == nil {
			resp.Body = &body{resp.Body, cancel}
			return resp, nil
		}
		cancel(nil)
		if !o.isReused || o.isWritten() || req.GetBody == nil || req.Context().Err() != nil {
			return nil, err
		}
		content, bodyErr := req.GetBody()
		if bodyErr != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = content
	}
}

// getConn is called before each sending of the request.
func (o *once) getConn(string) {
	if o.isWritten() {
		o.cancel(errNotRepeated)
	}
}

// gotConn is called with the connection on which the request is about to be sent.
func (o *once) gotConn(info httptrace.GotConnInfo) {
	next := connOf(info.Conn)
	if o.isWritten() {
		if next != nil {
			_ = next.Close() // the end of the context may be seen only after the request is written
		}
		return
	}
	o.conn, o.isReused = next, next != nil && info.Reused
	if next != nil {
		o.before = next.written.Load()
		next.isToCheck.Store(info.Reused)
	}
}

func (o *once) isWritten() bool { return o.conn != nil && o.conn.written.Load() > o.before }

// body is an answer's body, whose end releases what watches the request.
type body struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *body) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
