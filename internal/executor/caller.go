package executor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"

	"github.com/google/uuid"

	"punctual/internal/outbound"
)

// caller is what sends the requests of targets with one connection, or of those without.
type caller struct {
	connection *Connection // nil: without
	// home sends to where the connection is, and elsewhere to where redirects lead: with the same
	// trust, and without the client's certificate.
	home, elsewhere *outbound.Client
	// tokens has the access token, if the connection needs one.
	tokens *accessTokens
}

// maxCallers bounds how many callers are kept. When there are so many, all of them are forgotten.
const maxCallers = 10_000

// callers keeps a caller for each connection, as long as that does not change.
type callers struct {
	mu   sync.Mutex
	byID map[uuid.UUID]*caller
}

// callerFor returns the caller of a connection. No connection is an empty key.
func (h *HTTP) callerFor(ctx context.Context, namespace, key string) (*caller, error) {
	if key == "" {
		return h.direct, nil
	}
	if h.connections == nil {
		return nil, ErrNoConnection
	}
	connection, err := h.connections.Connection(ctx, namespace, key)
	switch {
	case errors.Is(err, ErrNoConnection):
		return nil, fmt.Errorf("there is no connection %s", key)
	case err != nil:
		return nil, fmt.Errorf("the connection %s cannot be used: %w", key, err)
	}
	h.callers.mu.Lock()
	defer h.callers.mu.Unlock()
	before := h.callers.byID[connection.ID]
	if before != nil && before.connection == connection {
		return before, nil
	}
	next, err := h.newCaller(connection, before)
	if err != nil {
		return nil, &Failure{Err: fmt.Errorf("the connection %s cannot be used: %w", key, err)}
	}
	if h.callers.byID == nil || len(h.callers.byID) >= maxCallers {
		h.callers.byID = map[uuid.UUID]*caller{}
	}
	h.callers.byID[connection.ID] = next
	return next, nil
}

// newCaller returns the caller of a connection. It keeps open what the one before has opened, if
// that is for the same TLS.
func (h *HTTP) newCaller(c *Connection, before *caller) (*caller, error) {
	next := &caller{connection: c, home: h.client, elsewhere: h.client}
	switch {
	case before != nil && before.connection.TLS == c.TLS:
		next.home, next.elsewhere = before.home, before.elsewhere
	case c.TLS != ConnectionTLS{}:
		config, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		next.home = h.client.WithTLS(config)
		if c.TLS.CA != "" {
			next.elsewhere = h.client.WithTLS(&tls.Config{RootCAs: config.RootCAs, MinVersion: tls.VersionTLS12})
		}
	}
	if before != nil && before.home != next.home && before.home != h.client {
		before.home.CloseIdle()
	}
	if c.Auth.Type == AuthOAuth2 {
		next.tokens = next.newAccessTokens()
	}
	return next, nil
}

// config returns the configuration that a connection wants. Its errors quote no key.
func (t *ConnectionTLS) config() (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, errors.New("its ca has no certificate")
		}
	}
	if t.ClientCertificate != "" {
		pair, err := tls.X509KeyPair([]byte(t.ClientCertificate), []byte(t.ClientKey))
		if err != nil {
			return nil, errors.New("its client certificate and key do not belong together")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// addTo adds to a target what its connection has. What the target itself has wins.
func (c *caller) addTo(def *httpDefinition, secrets *httpSecrets) (err error) {
	if c.connection == nil {
		return nil
	}
	if def.URL, err = join(c.connection.BaseURL, def.Path); err != nil {
		return fmt.Errorf("the target's path %w", err)
	}
	own, ownSecrets := canonical(def.Headers), canonical(secrets.Headers)
	def.Headers, secrets.Headers = canonical(c.connection.Headers), canonical(c.connection.SecretHeaders)
	for name := range own {
		delete(secrets.Headers, name)
	}
	maps.Copy(def.Headers, own)
	maps.Copy(secrets.Headers, ownSecrets)
	secrets.SigningSecrets = append(secrets.SigningSecrets, c.connection.SigningSecrets...)
	auth := &c.connection.Auth
	for _, secret := range []string{auth.Password, auth.Token, auth.ClientSecret} {
		if secret != "" {
			secrets.hidden = append(secrets.hidden, secret)
		}
	}
	for _, secret := range c.connection.SecretHeaders {
		if secret != "" {
			secrets.hidden = append(secrets.hidden, secret)
		}
	}
	return nil
}

// canonical returns a copy of headers under the usual forms of their names.
func canonical(headers map[string]string) map[string]string {
	all := make(map[string]string, len(headers))
	for name, value := range headers {
		all[http.CanonicalHeaderKey(name)] = value
	}
	return all
}
