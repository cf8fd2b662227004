// Package inprocess sends HTTP requests to a handler of this process, without a connection.
package inprocess

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Transport is an http.RoundTripper that hands requests to a handler. The answer is there as soon
// as the handler writes, so a stream can be followed. The handler sees none of the values of the
// request's context, as it would over a connection.
type Transport struct{ Handler http.Handler }

type inside struct{}

// Is reports whether the request of a context came through a Transport.
func Is(ctx context.Context) bool { return ctx.Value(inside{}) != nil }

// bare is a context with the end of another one, and without its values.
type bare struct{ context.Context }

func (bare) Value(key any) any {
	if key == (inside{}) {
		return true
	}
	return nil
}

// RoundTrip hands a request to the handler. Closing the body of the answer ends the request. It
// returns an error if the context ends before there is an answer, or if the handler aborts.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(bare{r.Context()})
	served := r.Clone(ctx)
	served.RequestURI = r.URL.RequestURI()
	served.URL.Scheme, served.URL.Host = "", ""
	if served.Body == nil {
		served.Body = http.NoBody
	}
	if served.Host == "" {
		served.Host = r.URL.Host
	}
	body, writes := io.Pipe()
	w := &writer{
		header: http.Header{}, body: writes, begun: make(chan struct{}),
		response: &http.Response{
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: -1,
			Body: &answerBody{body, cancel},
		},
	}
	go w.serve(t.Handler, served)
	select {
	case <-w.begun:
		if w.aborted != nil {
			cancel()
			return nil, w.aborted
		}
		return w.response, nil
	case <-ctx.Done():
		cancel()
		_ = body.Close() // the handler's writes fail from now on
		return nil, context.Cause(ctx)
	}
}

// answerBody is the body of an answer, whose end ends the request.
type answerBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *answerBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// writer is what a handler writes its answer to.
type writer struct {
	header   http.Header
	body     *io.PipeWriter
	response *http.Response
	once     sync.Once
	begun    chan struct{} // closed when response or aborted is set
	aborted  error
}

// serve calls the handler, and ends the answer.
func (w *writer) serve(handler http.Handler, r *http.Request) {
	defer func() {
		_ = r.Body.Close()
		switch reason := recover(); reason {
		case nil:
			w.WriteHeader(http.StatusOK)
			_ = w.body.Close()
		default:
			err, isError := reason.(error)
			if !isError {
				err = fmt.Errorf("the handler panicked: %v", reason)
			}
			w.once.Do(func() {
				w.aborted = err
				close(w.begun)
			})
			_ = w.body.CloseWithError(err)
		}
	}()
	handler.ServeHTTP(w, r)
}

// Header returns the header of the answer, which may be changed until it is written.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader begins the answer.
func (w *writer) WriteHeader(status int) {
	if status < http.StatusOK {
		return // informational
	}
	w.once.Do(func() {
		w.response.StatusCode, w.response.Status = status, fmt.Sprintf("%d %s", status, http.StatusText(status))
		w.response.Header = w.header.Clone()
		close(w.begun)
	})
}

// Write waits until what it writes is read.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush begins the answer, as all that is written is read at once.
func (w *writer) Flush() { w.WriteHeader(http.StatusOK) }

// SetWriteDeadline does nothing: who reads the answer is as slow as its own client, whom it bounds.
func (w *writer) SetWriteDeadline(time.Time) error { return nil }
