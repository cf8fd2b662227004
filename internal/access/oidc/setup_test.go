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

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	t.Helper()
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
	t.Cleanup(server.Close)
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

func newKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
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
func sign(t *testing.T, key jose.SigningKey, typ string, claims map[string]any) string {
	t.Helper()
	options := new(jose.SignerOptions)
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(key, options)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	token, err := signed.CompactSerialize()
	require.NoError(t, err)
	return token
}

func es256(key jose.JSONWebKey) jose.SigningKey {
	return jose.SigningKey{Algorithm: jose.ES256, Key: key}
}

func grants(t *testing.T, text string) oidc.Grants {
	t.Helper()
	parsed, err := oidc.ParseGrants(text)
	require.NoError(t, err)
	return parsed
}

// newVerifier returns a verifier that has not yet read the keys of the issuer. Developers may read
// jobs of the namespace payments.
func newVerifier(t *testing.T, issuer string, now func() time.Time) *oidc.Verifier {
	t.Helper()
	v, err := oidc.New(oidc.Config{
		Issuer: issuer, Audience: audience, Now: now,
		Grants: grants(t, `[{"claim":"groups","value":"devs","namespace":"payments","scopes":["jobs:read"]}]`),
	})
	require.NoError(t, err)
	return v
}
