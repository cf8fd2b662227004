package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	lru "github.com/hashicorp/golang-lru/v2"

	"punctual/internal/sanitize"
)

const (
	// refreshEvery is how long a key that the issuer has withdrawn may still be accepted. A new key
	// is found as soon as a token has it.
	refreshEvery = 5 * time.Minute
	// The pauses after a failed attempt to reach the issuer double from the first to the second.
	minRetry, maxRetry = time.Second, 5 * time.Second
	// fetchTimeout bounds a request to the issuer.
	fetchTimeout = 5 * time.Second
	// maxAnswer bounds an answer of the issuer, in bytes.
	maxAnswer = 1 << 20
	// maxLogged bounds what the log says of an answer that is not as it should be, in bytes.
	maxLogged = 500
	// fetchPause is the shortest time between two fetches of keys. Without it, each forged token
	// would cause a request to the issuer.
	fetchPause = time.Second
	// maxKnown bounds the tokens that are remembered, so that a request need not verify a
	// signature. It is some megabytes.
	maxKnown = 10_000
)

// trust is what was learned from the issuer at one time.
type trust struct {
	verifier *oidc.IDTokenVerifier
	// known has the verified tokens, by their SHA-256.
	known *lru.Cache[[sha256.Size]byte, verified]
	// before has those that were verified with earlier keys. Nil: there are none.
	before *lru.Cache[[sha256.Size]byte, verified]
}

// Run finds out the keys of the issuer, and again from time to time, until ctx ends. An issuer that
// cannot be reached is tried again; until then what was known stays.
func (v *Verifier) Run(ctx context.Context) {
	pause := minRetry
	for ctx.Err() == nil {
		wait := refreshEvery
		if err := v.Refresh(ctx); err != nil && ctx.Err() == nil {
			v.config.Logger.WarnContext(ctx, "the identity provider's keys cannot be read; its tokens are refused unless earlier keys are known",
				"issuer", v.config.Issuer, "error", sanitize.Cut(err.Error(), maxLogged), "retryAfter", pause)
			wait, pause = pause, min(2*pause, maxRetry)
		} else {
			pause = minRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// Refresh finds out the keys of the issuer once. Tokens that were verified with earlier keys are
// verified again.
func (v *Verifier) Refresh(ctx context.Context) error {
	client := &http.Client{Timeout: fetchTimeout, Transport: bounded{http.DefaultTransport}}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), v.config.Issuer)
	if err != nil {
		return fmt.Errorf("read its configuration: %w", err)
	}
	var endpoints struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&endpoints); err != nil || endpoints.Keys == "" {
		return errors.New("read its configuration: there is no jwks_uri")
	}
	client = &http.Client{Timeout: fetchTimeout, Transport: &spaced{RoundTripper: client.Transport}}
	keys := keySet{oidc.NewRemoteKeySet(oidc.ClientContext(ctx, client), endpoints.Keys)}
	if err := keys.fetch(ctx); err != nil {
		return fmt.Errorf("read its keys: %w", err)
	}

	known, err := lru.New[[sha256.Size]byte, verified](maxKnown)
	if err != nil {
		return err
	}
	var before *lru.Cache[[sha256.Size]byte, verified]
	if earlier := v.trust.Load(); earlier != nil {
		before = earlier.known
	}
	v.trust.Store(&trust{
		verifier: oidc.NewVerifier(v.config.Issuer, keys, &oidc.Config{
			ClientID: v.config.Audience, SupportedSigningAlgs: algorithms,
			SkipExpiryCheck: true, // verified.isCurrent checks it, of remembered tokens too
		}),
		known: known, before: before,
	})
	return nil
}

// keySet tells the failures of the issuer from wrong signatures, which the package oidc does not.
type keySet struct{ *oidc.RemoteKeySet }

type unavailableKey struct{}

// VerifySignature implements oidc.KeySet. It stores an error of the issuer where the context says.
func (k keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.RemoteKeySet.VerifySignature(ctx, token)
	// Only the failure of a fetch has a cause: a wrong signature has none.
	if unavailable, ok := ctx.Value(unavailableKey{}).(*error); ok && errors.Unwrap(err) != nil {
		*unavailable = err
	}
	return payload, err
}

// fetch reads the keys, so that they are there before the first token and stay if the issuer fails
// later. RemoteKeySet does so when it meets a token that no known key has signed.
func (k keySet) fetch(ctx context.Context) error {
	const unsigned = "eyJhbGciOiJSUzI1NiJ9.e30.AA" // {"alg":"RS256"}.{}
	var unavailable error
	_, _ = k.VerifySignature(context.WithValue(ctx, unavailableKey{}, &unavailable), unsigned) // it is not signed
	return unavailable
}

// bounded makes errors of answers that are not right, and bounds the others.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		_ = answer.Body.Close() // it is not read
		return nil, errors.New("the answer is " + answer.Status)
	}
	answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswer)
	return answer, nil
}

// spaced makes a request wait until the last one is fetchPause ago. RemoteKeySet makes one at a
// time.
type spaced struct {
	http.RoundTripper
	last time.Time
}

func (s *spaced) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(time.Until(s.last.Add(fetchPause))):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	s.last = time.Now()
	return s.RoundTripper.RoundTrip(r)
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
