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

// once makes net/http send a request once. If a reused connection breaks, net/http by itself
// repeats a GET and any request with an Idempotency-Key, although the server may have executed it.
// That would be an attempt that nobody counts. So once stops the repetition unless nothing of the
// request was written.
//
// It does not interfere with HTTP/2, where net/http repeats a request if the server says that it
// did not process it.
type once struct {
	cancel context.CancelCauseFunc
	conn   *conn // the last one that the request was given; nil if it is shared
	before int64 // what was written to it before
	// isReused reports whether the connection had another request before. A new connection that
	// fails is not replaced.
	isReused bool
}

// send sends the request. If nothing of it was written to a stale connection, it is sent on another
// one. net/http does that only if the body fits into its buffer, so send does it, too.
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

// body is the body of an answer. Closing it releases the context of the request.
type body struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *body) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
