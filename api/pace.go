package api

import (
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// bodyWithin is how long a small body may take to arrive. The body of a refused request, which
	// only the HTTP server reads, may take as long.
	bodyWithin = 10 * time.Second
	// bodyRate is how many bytes a second a larger body has to bring. The largest one, 16 MiB, may
	// take about a minute.
	bodyRate = 320 << 10
	// maxBodies is how many bytes the bodies of all requests may have together.
	maxBodies = 256 << 20
)

// errBodiesTooLarge says that the bodies that are being served have maxBodies together.
var errBodiesTooLarge = errors.New("the bodies of all requests are too large together")

// paceBodies bounds how long a body may take to arrive, so that a client that sends it drop by drop
// holds its connection for seconds only, and how much memory all bodies take.
func paceBodies(next http.Handler) http.Handler {
	memory := semaphore.NewWeighted(maxBodies)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		body := &pacedBody{ReadCloser: r.Body, connection: http.NewResponseController(w), until: time.Now().Add(bodyWithin), memory: memory}
		_ = body.connection.SetReadDeadline(body.until) // a connection that cannot is one of a test
		defer body.release()
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

// pacedBody is a body that has to arrive at bodyRate, after the first seconds.
type pacedBody struct {
	io.ReadCloser
	connection *http.ResponseController
	until      time.Time
	memory     *semaphore.Weighted
	held       int64
}

// Read reads from the body, and gives the next bytes as much time as these have earned.
func (b *pacedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		if !b.memory.TryAcquire(int64(n)) {
			return 0, errBodiesTooLarge
		}
		b.held += int64(n)
		b.until = b.until.Add(time.Duration(n) * time.Second / bodyRate)
	}
	switch {
	case errors.Is(err, io.EOF):
		// The server goes on reading to notice when the client goes away, which may take longer.
		_ = b.connection.SetReadDeadline(time.Time{})
	case err == nil:
		_ = b.connection.SetReadDeadline(b.until)
	}
	return n, err
}

func (b *pacedBody) release() { b.memory.Release(b.held) }
