package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"punctual/internal/executor"
	"punctual/internal/poller"
	"punctual/internal/secrets"
)

// maxHTTPLateness bounds the p99 of the lateness of runs that are requests, in milliseconds.
const maxHTTPLateness = 100

// http measures lateness at a steady rate of runs that are signed requests to a server in this
// process.
func (b *bench) http(ctx context.Context) (err error) {
	s, err := b.firing(ctx, b.LatenessJobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r, err := newReceiver(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	keys, err := secrets.ParseKeyring(secrets.GenerateKey(time.Now()))
	if err != nil {
		return err
	}
	if err := s.makeHTTP(ctx, r, keys); err != nil {
		return err
	}
	executor := executor.NewHTTP(executor.HTTPConfig{
		AllowCIDRs: []netip.Prefix{netip.PrefixFrom(r.address.Addr(), r.address.Addr().BitLen())},
		AllowPorts: []uint16{r.address.Port()},
	})
	l, err := b.fire(ctx, s, poller.Config{Executor: executor, Secrets: keys}, b.HTTPFor)
	if err != nil {
		return err
	}
	var troubled int
	if err := s.pool.QueryRow(ctx, sqlTroubled).Scan(&troubled); err != nil {
		return err
	}
	if troubled > 0 {
		return fmt.Errorf("%d runs did not succeed at their first attempt", troubled)
	}
	l.Name = "signed requests, " + strconv.Itoa(b.FiresPerSecond) + "/s"
	b.report.Lateness = append(b.report.Lateness, l)
	b.report.atMost("http, lateness p99, ms", l.P99, maxHTTPLateness)
	b.report.atLeast("http, lateness min, ms", l.Min, 0)
	b.report.atMost("http, runs left behind", float64(l.Left), 0)
	return nil
}

// makeHTTP makes the receiver the target of all jobs, each with the signing secret encrypted for
// it.
func (s *scratch) makeHTTP(ctx context.Context, r *receiver, keys secrets.Keyring) error {
	definition, err := json.Marshal(map[string]string{
		"type": "http", "url": "http://" + r.address.String() + "/", "method": http.MethodPost,
	})
	if err != nil {
		return err
	}
	opened, err := json.Marshal(map[string][]string{"signingSecrets": {r.secret}})
	if err != nil {
		return err
	}
	rows, err := s.pool.Query(ctx, sqlAllJobs)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	sealed := make([][]byte, len(ids))
	keyID := ""
	for i, id := range ids {
		secret, err := keys.Seal(opened, id[:])
		if err != nil {
			return fmt.Errorf("encrypt the signing secret: %w", err)
		}
		sealed[i], keyID = secret.Ciphertext, secret.KeyID
	}
	if _, err := s.pool.Exec(ctx, sqlMakeHTTP, definition, keyID, ids, sealed); err != nil {
		return fmt.Errorf("give the jobs an http target: %w", err)
	}
	_, err = s.pool.Exec(ctx, sqlVacuum)
	return err
}

// receiver is a server that accepts requests signed with its secret. The caller has to close it.
type receiver struct {
	address netip.AddrPort
	secret  string
	webhook *standardwebhooks.Webhook
	server  *http.Server
	ended   chan error
}

func newReceiver(ctx context.Context) (*receiver, error) {
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for requests: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, by its documentation
	r := &receiver{secret: "whsec_" + base64.StdEncoding.EncodeToString(key), ended: make(chan error, 1)}
	r.address, err = netip.ParseAddrPort(socket.Addr().String())
	if err == nil {
		r.webhook, err = standardwebhooks.NewWebhookRaw(key)
	}
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { r.ended <- r.server.Serve(socket) }()
	return r, nil
}

// ServeHTTP verifies a request and answers it.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err == nil {
		err = r.webhook.Verify(body, request.Header)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(w, `{"ok":true}`) // if this fails, the run fails
}

// Close stops the server.
func (r *receiver) Close() error {
	err := r.server.Close()
	if ended := <-r.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
