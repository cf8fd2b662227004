package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/access/oidc"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	key, foreign := newKey(t, "one"), newKey(t, "one")
	issuer := newIssuer(t, key)
	verifier := newVerifier(t, issuer.url, nil)
	require.NoError(t, verifier.Refresh(t.Context()))
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }

	for name, c := range map[string]struct {
		typ     string
		changed map[string]any
		want    error
	}{
		"an access token":                    {"at+jwt", nil, nil},
		"an access token by its long type":   {"application/at+JWT", nil, nil},
		"a token that does not say its type": {"", nil, nil},
		"several audiences":                  {"JWT", map[string]any{"aud": []string{"other", audience}}, nil},
		"expired within the skew":            {"JWT", map[string]any{"exp": in(-20 * time.Second)}, nil},
		"valid soon, within the skew":        {"JWT", map[string]any{"nbf": in(20 * time.Second)}, nil},

		"a logout token":                 {"logout+jwt", nil, access.ErrInvalid},
		"a token of another application": {"JWT", map[string]any{"aud": "other"}, access.ErrInvalid},
		"a token without an audience":    {"JWT", map[string]any{"aud": nil}, access.ErrInvalid},
		"a token of another issuer":      {"JWT", map[string]any{"iss": "https://other.example.com"}, access.ErrInvalid},
		"expired a minute ago":           {"JWT", map[string]any{"exp": in(-time.Minute)}, access.ErrExpired},
		"a token that never expires":     {"JWT", map[string]any{"exp": nil}, access.ErrInvalid},
		"valid in a minute":              {"JWT", map[string]any{"nbf": in(time.Minute)}, access.ErrInvalid},
		"a token without a subject":      {"JWT", map[string]any{"sub": nil}, access.ErrInvalid},
		"a subject that no row can have": {"JWT", map[string]any{"sub": "anna\x00"}, access.ErrInvalid},
		"a subject of two lines":         {"JWT", map[string]any{"sub": "anna\nroot"}, access.ErrInvalid},
		"a token without grants":         {"JWT", map[string]any{"groups": []string{"guests"}}, access.ErrNoGrant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := sign(t, es256(key), c.typ, issuer.claims(c.changed))
			for range 2 { // the second time it may be remembered
				caller, err := verifier.Verify(t.Context(), token)
				if c.want != nil {
					require.ErrorIs(t, err, c.want)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, "user:anna", caller.Actor)
			}
		})
	}
	_, err := verifier.Verify(t.Context(), sign(t, es256(foreign), "at+jwt", issuer.claims(nil)))
	require.ErrorIs(t, err, access.ErrInvalid, "another key with the same id has signed it")
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	key := newKey(t, "one")
	issuer := newIssuer(t, key)
	verifier := newVerifier(t, issuer.url, nil)
	require.NoError(t, verifier.Refresh(t.Context()))

	good := sign(t, es256(key), "at+jwt", issuer.claims(nil))
	_, err := verifier.Verify(t.Context(), good)
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(key.Public().Key.(*ecdsa.PublicKey))
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	publicJSON, err := json.Marshal(key.Public())
	require.NoError(t, err)
	hmac := func(alg jose.SignatureAlgorithm, secret []byte) string {
		return sign(t, jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: secret, KeyID: "one"}}, "at+jwt", issuer.claims(nil))
	}
	encode := base64.RawURLEncoding.EncodeToString
	selfSigned := newKey(t, "")
	embedded, err := jose.NewSigner(es256(selfSigned), &jose.SignerOptions{EmbedJWK: true})
	require.NoError(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	carriesKey, err := embedded.Sign(payload)
	require.NoError(t, err)
	carries, err := carriesKey.CompactSerialize()
	require.NoError(t, err)

	for name, token := range map[string]string{
		"alg none":                              encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"alg None with a signature":             encode([]byte(`{"alg":"None","kid":"one"}`)) + "." + parts[1] + "." + parts[2],
		"no alg":                                encode([]byte(`{"kid":"one"}`)) + "." + parts[1] + "." + parts[2],
		"HMAC with the public key as PEM":       hmac(jose.HS256, publicPEM),
		"HMAC with the public key as DER":       hmac(jose.HS512, der),
		"HMAC with the public key as JSON":      hmac(jose.HS384, publicJSON),
		"signed by a key that it carries":       carries,
		"other claims under a good signature":   parts[0] + "." + encode([]byte(`{"sub":"root"}`)) + "." + parts[2],
		"no signature":                          parts[0] + "." + parts[1] + ".",
		"two parts":                             parts[0] + "." + parts[1],
		"an encrypted token's five parts":       good + ".x.y",
		"JSON":                                  `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"a header that is not JSON":             encode([]byte("alg")) + "." + parts[1] + "." + parts[2],
		"an opaque token":                       "c0ffee",
		"nothing":                               "",
		"a token that is longer than a session": good + strings.Repeat("A", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verifier.Verify(t.Context(), token)
			require.ErrorIs(t, err, access.ErrInvalid)
		})
	}
}

// A token that is remembered is not accepted longer than another one.
func TestRememberedTokenExpires(t *testing.T) {
	t.Parallel()
	key := newKey(t, "one")
	issuer := newIssuer(t, key)
	var later time.Duration
	verifier := newVerifier(t, issuer.url, func() time.Time { return time.Now().Add(later) })
	require.NoError(t, verifier.Refresh(t.Context()))
	token := sign(t, es256(key), "at+jwt", issuer.claims(nil))
	_, err := verifier.Verify(t.Context(), token)
	require.NoError(t, err)

	issuer.isDown.Store(true)
	issuer.publish()
	_, err = verifier.Verify(t.Context(), token)
	require.NoError(t, err, "it is remembered, so nobody is asked")
	later = time.Hour + time.Minute
	_, err = verifier.Verify(t.Context(), token)
	require.ErrorIs(t, err, access.ErrExpired)
}

func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	first, second := newKey(t, "one"), newKey(t, "two")
	issuer := newIssuer(t, first)
	verifier := newVerifier(t, issuer.url, nil)
	require.NoError(t, verifier.Refresh(t.Context()))
	old := sign(t, es256(first), "at+jwt", issuer.claims(nil))
	_, err := verifier.Verify(t.Context(), old)
	require.NoError(t, err)

	issuer.publish(second)
	_, err = verifier.Verify(t.Context(), sign(t, es256(second), "at+jwt", issuer.claims(nil)))
	require.NoError(t, err, "a key that the issuer has published since is found at once")

	require.NoError(t, verifier.Refresh(t.Context()))
	_, err = verifier.Verify(t.Context(), old)
	require.ErrorIs(t, err, access.ErrInvalid, "a key that the issuer has withdrawn is not accepted any more")
}

// Forged tokens do not make the service flood the issuer.
func TestForgedTokensCauseFewFetches(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, newKey(t, "one"))
	verifier := newVerifier(t, issuer.url, nil)
	require.NoError(t, verifier.Refresh(t.Context()))
	forged := sign(t, es256(newKey(t, "forged")), "at+jwt", issuer.claims(nil))
	begun := time.Now()
	refused := make(chan error)
	for range 100 {
		go func() {
			_, err := verifier.Verify(t.Context(), forged)
			refused <- err
		}()
	}
	for range 100 {
		require.ErrorIs(t, <-refused, access.ErrInvalid)
	}
	require.LessOrEqual(t, issuer.fetched.Load(), 2+int64(time.Since(begun)/time.Second), "one a second, and one at the start")
}

func TestIssuerIsDown(t *testing.T) {
	t.Parallel()
	key := newKey(t, "one")
	issuer := newIssuer(t, key)
	issuer.isDown.Store(true)
	verifier := newVerifier(t, issuer.url, nil)
	token := func(by jose.JSONWebKey) string { return sign(t, es256(by), "at+jwt", issuer.claims(nil)) }

	require.ErrorContains(t, verifier.Refresh(t.Context()), "the answer is 503")
	_, err := verifier.Verify(t.Context(), token(key))
	require.ErrorIs(t, err, access.ErrIssuerUnavailable)

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { verifier.Run(ctx); close(ended) }()
	issuer.isDown.Store(false)
	require.Eventually(t, func() bool {
		_, err := verifier.Verify(t.Context(), token(key))
		return err == nil
	}, 10*time.Second, 20*time.Millisecond, "it is tried again")
	stop()
	<-ended

	issuer.isDown.Store(true)
	require.Error(t, verifier.Refresh(t.Context()))
	_, err = verifier.Verify(t.Context(), token(key))
	require.NoError(t, err, "known keys stay")
	_, err = verifier.Verify(t.Context(), token(newKey(t, "new")))
	require.ErrorIs(t, err, access.ErrIssuerUnavailable, "the key may be a new one")
}

func TestIssuerWithAnotherName(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, newKey(t, "one"))
	verifier := newVerifier(t, issuer.url+"/other", nil)
	require.ErrorContains(t, verifier.Refresh(t.Context()), "issuer")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	some := grants(t, `[{"claim":"groups","value":"x","namespace":"*","scopes":["admin"]}]`)
	for name, c := range map[string]struct {
		issuer, audience string
		grants           oidc.Grants
		want             string
	}{
		"nothing":               {"", "", oidc.Grants{}, ""},
		"everything":            {"https://login.example.com/x", "punctual", some, ""},
		"this machine":          {"http://localhost:8080/realms/main", "punctual", some, ""},
		"no issuer":             {"", "punctual", oidc.Grants{}, "OIDC_ISSUER is required"},
		"grants without issuer": {"", "", some, "OIDC_ISSUER is required"},
		"no audience":           {"https://login.example.com", "", some, "OIDC_AUDIENCE is required"},
		"no grants":             {"https://login.example.com", "punctual", oidc.Grants{}, "OIDC_GRANTS is required"},
		"no URL":                {"login.example.com", "punctual", some, "OIDC_ISSUER must be a URL"},
		"a query":               {"https://login.example.com?x=y", "punctual", some, "OIDC_ISSUER must be a URL"},
		"not encrypted":         {"http://login.example.com", "punctual", some, "OIDC_ISSUER must be an https URL"},
	} {
		err := oidc.Validate(c.issuer, c.audience, c.grants)
		if c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.want, name)
		}
	}
}

// BenchmarkVerify measures what a request pays for a token that was accepted before.
func BenchmarkVerify(b *testing.B) {
	key := newKey(b, "one")
	issuer := newIssuer(b, key)
	verifier := newVerifier(b, issuer.url, nil)
	require.NoError(b, verifier.Refresh(b.Context()))
	token := sign(b, es256(key), "at+jwt", issuer.claims(map[string]any{"padding": strings.Repeat("x", 1000)}))
	for b.Loop() {
		caller, err := verifier.Verify(b.Context(), token)
		require.NoError(b, err)
		_, err = caller.In("")
		require.NoError(b, err)
	}
}
