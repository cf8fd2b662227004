package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"punctual/internal/access/oidc"
)

const audience = "https://punctual.example.com"

// issuer is an issuer whose answers a test decides. The tests of the whole service use a real one.
type issuer struct {
	url  string
	keys atomic.Pointer[jose.JSONWebKeySet]
	// isDown makes it answer everything with 503.
	isDown atomic.Bool
	// fetched counts how often its keys were read.
	fetched atomic.Int64
}

func newIssuer(tb testing.TB, keys ...jose.JSONWebKey) *issuer {
	tb.Helper()
	i := &issuer{}
	i.publish(keys...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case i.isDown.Load():
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		case r.URL.Path == "/keys":
			i.fetched.Add(1)
			_ = json.NewEncoder(w).Encode(i.keys.Load())
		default:
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.url, "jwks_uri": i.url + "/keys"})
		}
	}))
	tb.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// publish replaces the keys of the issuer.
func (i *issuer) publish(keys ...jose.JSONWebKey) {
	public := jose.JSONWebKeySet{}
	for _, key := range keys {
		public.Keys = append(public.Keys, key.Public())
	}
	i.keys.Store(&public)
}

func newKey(tb testing.TB, id string) jose.JSONWebKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}
}

// claims returns those of a good token, changed by some of them. Nil removes a claim.
func (i *issuer) claims(changed map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.url, "aud": audience, "sub": "anna", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"devs"},
	}
	for name, value := range changed {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// sign returns a token with claims.
func sign(tb testing.TB, key jose.SigningKey, typ string, claims map[string]any) string {
	tb.Helper()
	options := new(jose.SignerOptions)
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(key, options)
	require.NoError(tb, err)
	payload, err := json.Marshal(claims)
	require.NoError(tb, err)
	signed, err := signer.Sign(payload)
	require.NoError(tb, err)
	token, err := signed.CompactSerialize()
	require.NoError(tb, err)
	return token
}

func es256(key jose.JSONWebKey) jose.SigningKey {
	return jose.SigningKey{Algorithm: jose.ES256, Key: key}
}

func grants(tb testing.TB, text string) oidc.Grants {
	tb.Helper()
	parsed, err := oidc.ParseGrants(text)
	require.NoError(tb, err)
	return parsed
}

// newVerifier returns a verifier that has not yet read the keys of the issuer. Developers may read
// jobs of the namespace payments.
func newVerifier(tb testing.TB, issuer string, now func() time.Time) *oidc.Verifier {
	tb.Helper()
	v, err := oidc.New(oidc.Config{
		Issuer: issuer, Audience: audience, Now: now,
		Grants: grants(tb, `[{"claim":"groups","value":"devs","namespace":"payments","scopes":["jobs:read"]}]`),
	})
	require.NoError(tb, err)
	return v
}
