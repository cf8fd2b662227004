package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// issuer is an endpoint for access tokens. The tests of the whole service use a real one.
type issuer struct {
	*httptest.Server
	issued atomic.Int32
	// answer replaces the answer, if it is set.
	answer func(w http.ResponseWriter)
}

func newIssuer(t *testing.T, seconds int) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = receiver(t, func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case i.answer != nil:
			i.answer(w)
		case id != "punctual" || secret != "cl1ent-secret" || r.FormValue("grant_type") != "client_credentials" ||
			r.FormValue("scope") != "a b" || r.FormValue("audience") != "https://crm":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"not %s"}`, secret)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{
				"access_token": fmt.Sprintf("token-%d", i.issued.Add(1)), "token_type": "Bearer", "expires_in": seconds,
			})
		}
	})
	return i
}

func oauth(i *issuer, receiver *httptest.Server) Connection {
	return Connection{BaseURL: receiver.URL, Auth: ConnectionAuth{
		Type: AuthOAuth2, TokenURL: i.URL + "/token", ClientID: "punctual", ClientSecret: "cl1ent-secret",
		Scopes: []string{"a", "b"}, Audience: "https://crm",
	}}
}

func TestAnAccessTokenIsKeptUntilItExpires(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int]int32{3600: 1, 5: 20} { // one that ends in ten seconds is too old to be sent
		i := newIssuer(t, seconds)
		server := receiver(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Token", r.Header.Get("Authorization")) })
		h, _ := connected(t, oauth(i, server), nil, server.Listener.Addr(), i.Listener.Addr())
		var attempts sync.WaitGroup
		for range 20 {
			if seconds == 5 {
				_, err := through(t, h, fields{}, nil)
				require.NoError(t, err)
				continue
			}
			attempts.Go(func() {
				_, err := through(t, h, fields{}, nil)
				assert.NoError(t, err)
			})
		}
		attempts.Wait()
		require.Equal(t, want, i.issued.Load(), "tokens of %d seconds", seconds)
	}
}

// A token that was accepted and is not any more is replaced at once. One that never was is kept, so
// that a receiver which refuses everything does not cost a token for each attempt.
func TestATokenThatIsRefusedIsReplacedOnce(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, 3600)
	var accepted atomic.Value
	accepted.Store("Bearer token-1")
	var requests atomic.Int32
	server := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") != accepted.Load() {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	h, _ := connected(t, oauth(i, server), nil, server.Listener.Addr(), i.Listener.Addr())
	attempt := func() error {
		_, err := through(t, h, fields{}, nil)
		return err
	}
	require.NoError(t, attempt())
	accepted.Store("Bearer token-2")
	require.NoError(t, attempt(), "the attempt goes on with another token")
	require.Equal(t, int32(2), i.issued.Load())
	accepted.Store("nothing")
	require.EqualError(t, attempt(), "answered 401 Unauthorized")
	require.Equal(t, int32(3), i.issued.Load())
	before := requests.Load()
	require.EqualError(t, attempt(), "answered 401 Unauthorized")
	require.Equal(t, int32(3), i.issued.Load())
	require.Equal(t, before+1, requests.Load())
}

func TestWhyThereIsNoAccessToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, 3600)
	server, requests := record(t)
	c := oauth(i, server)
	h, place := connected(t, c, nil, server.Listener.Addr(), i.Listener.Addr())
	check := func(want string, isUnreachable bool) time.Duration {
		_, err := through(t, h, fields{}, nil)
		var failure *Failure
		require.ErrorAs(t, err, &failure)
		require.EqualError(t, err, want)
		require.Equal(t, isUnreachable, failure.IsUnreachable, want)
		return failure.RetryAfter
	}
	c.Auth.ClientSecret = "wr0ng"
	place.set(c)
	check("no access token: its endpoint answered 401 Unauthorized (invalid_client)", false)
	for body, want := range map[string]string{
		`{"error":"cl1ent-secret"}`: "no access token: its endpoint answered 503 Service Unavailable",
		`cl1ent-secret`:             "no access token: its endpoint answered 503 Service Unavailable",
	} {
		i.answer = func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(body))
		}
		require.Equal(t, "7s", check(want, true).String())
	}
	i.answer = func(w http.ResponseWriter) { _, _ = w.Write([]byte(`cl1ent-secret`)) }
	check("no access token: the answer for it has none", true)
	i.answer = func(w http.ResponseWriter) {
		w.Header().Set("Location", server.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	check("no access token: its endpoint answered 307 Temporary Redirect", false)
	c.Auth.TokenURL = "http://169.254.169.254/token"
	place.set(c)
	check("no access token: the address is private or reserved, and not allowed; an operator can allow it with OUTBOUND_ALLOW_CIDRS", false)
	require.Empty(t, requests, "nothing was sent")
}

// signs is a Signer that writes the claims into the token.
type signs struct{ err error }

func (s signs) Sign(_ context.Context, claims any) (string, error) {
	encoded, _ := json.Marshal(claims)
	return string(encoded), s.err
}

func TestASignedTokenNamesTheJobAndTheRun(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	c := Connection{BaseURL: server.URL, Auth: ConnectionAuth{Type: AuthJWT, Audience: "crm"}}
	h, place := connected(t, c, signs{}, server.Listener.Addr())
	run := newRun(t, fields{"connection": "crm"}, nil)
	run.JobKey = "reports/daily"
	_, err := h.Execute(t.Context(), run)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte((<-requests).Header.Get("Authorization")[len("Bearer "):]), &got))
	assert.InDelta(t, 300, got["exp"].(float64)-got["iat"].(float64), 0)
	assert.NotEmpty(t, got["jti"])
	for name, want := range map[string]any{
		"iss": "punctual", "sub": "payments", "aud": "crm", "jobId": jobID.String(), "jobKey": "reports/daily",
		"runId": runID.String(), "attempt": 2.0,
	} {
		assert.Equal(t, want, got[name], name)
	}

	c.Auth.Audience = ""
	place.set(c)
	_, err = through(t, h, fields{}, nil)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte((<-requests).Header.Get("Authorization")[len("Bearer "):]), &got))
	require.Equal(t, server.URL, got["aud"])

	h, _ = connected(t, c, signs{errors.New("no keys today")}, server.Listener.Addr())
	_, err = through(t, h, fields{}, nil)
	require.EqualError(t, err, "no token could be signed: no keys today")
}
