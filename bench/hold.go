package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Held is what clients hold.
type Held struct {
	// Idle and Slow are connections, and Reopened is how many slow ones the service has closed, so
	// that they were opened again.
	Idle, Slow, Reopened int64
	// Answers is how many times a waiting worker was told that nothing is due.
	Answers int64
}

const (
	// dialing is how many connections are opened at a time.
	dialing = 64
	// dripEach is how often a slow client sends a byte.
	dripEach = time.Second
)

// slowRequests are how requests begin that never end: half of the slow clients send a header, the
// others a body.
var slowRequests = []string{
	"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
	"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
}

// hold opens connections to a service and holds them until the standard input ends, and lets
// workers wait there. It writes what it holds when it holds all of them, and at the end.
func hold(ctx context.Context, target string, idle, slow, workers int) error {
	at, err := url.Parse(target)
	if err != nil {
		return err
	}
	h := &holder{address: at.Host, fleet: startFleet(ctx, target, fleetConfig{workers: workers, batch: 1})}
	defer h.fleet.end()
	var opening errgroup.Group
	opening.SetLimit(dialing)
	for n := range idle + slow {
		opening.Go(func() error {
			if n < idle {
				return h.idle(ctx)
			}
			conn, err := h.begin(ctx, n)
			if err == nil {
				go h.drip(ctx, n, conn)
			}
			return err
		})
	}
	if err := opening.Wait(); err != nil {
		return err
	}
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(h.held()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return answers.Encode(h.held())
}

type holder struct {
	fleet                     *fleet
	address                   string
	idling, dripping, dropped atomic.Int64
}

func (h *holder) held() Held {
	return Held{Idle: h.idling.Load(), Slow: h.dripping.Load(), Reopened: h.dropped.Load(), Answers: h.fleet.empty.Load()}
}

// idle opens a connection that has had one request, and watches it.
func (h *holder) idle(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.address)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %s: %w", answer.Status, err)
	}
	_ = answer.Body.Close()
	h.idling.Add(1)
	go func() {
		_, _ = reader.ReadByte() // it ends when the service closes the connection
		h.idling.Add(-1)
	}()
	return nil
}

// begin opens a connection and begins a request.
func (h *holder) begin(ctx context.Context, n int) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.address)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, slowRequests[n%len(slowRequests)]); err != nil {
		return nil, err
	}
	h.dripping.Add(1)
	return conn, nil
}

// drip sends a request drop by drop, and another one whenever the service closes the connection.
func (h *holder) drip(ctx context.Context, n int, conn net.Conn) {
	each := time.NewTicker(dripEach)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-each.C:
		}
		if _, err := conn.Write([]byte("x")); err == nil {
			continue
		}
		_ = conn.Close()
		h.dropped.Add(1)
		h.dripping.Add(-1)
		var err error
		for conn, err = h.begin(ctx, n); err != nil && ctx.Err() == nil; conn, err = h.begin(ctx, n) {
			<-each.C
		}
	}
}
