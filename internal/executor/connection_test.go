package executor

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTargetsAddToTheirConnectionAndWin(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	h, _ := connected(t, Connection{
		BaseURL:       server.URL + "/api/",
		Headers:       map[string]string{"x-both": "connection", "X-Connection": "1"},
		SecretHeaders: map[string]string{"X-Secret": "connection", "x-other": "connection", "X-Open": "connection"},
		Auth:          ConnectionAuth{Type: AuthBasic, Username: "anna", Password: "open sesame"},
	}, nil, server.Listener.Addr())
	_, err := through(t, h, fields{"path": "/hooks/{{job.name}}?a=b", "headers": fields{"X-Both": "target", "x-open": "target"}},
		fields{"secretHeaders": fields{"x-secret": "target"}})
	require.NoError(t, err)
	request := <-requests
	assert.Equal(t, "/api/hooks/report?a=b", request.RequestURI)
	for name, want := range map[string]string{
		"X-Both": "target", "X-Connection": "1", "X-Secret": "target", "X-Other": "connection", "X-Open": "target",
	} {
		assert.Equal(t, []string{want}, request.Header.Values(name), name)
	}
	user, password, _ := request.BasicAuth()
	assert.Equal(t, "anna:open sesame", user+":"+password)

	_, err = through(t, h, fields{}, fields{"secretHeaders": fields{"authorization": "Bearer own"}})
	require.NoError(t, err)
	request = <-requests
	assert.Equal(t, "Bearer own", request.Header.Get("Authorization"))
	assert.Equal(t, "/api", request.RequestURI)
}

func TestChangesOfAConnectionHoldFromTheNextAttempt(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	c := Connection{BaseURL: server.URL, Auth: ConnectionAuth{Type: AuthBearer, Token: "old"}}
	h, place := connected(t, c, nil, server.Listener.Addr())
	for _, token := range []string{"old", "new"} {
		c.Auth.Token = token
		place.set(c)
		_, err := through(t, h, fields{}, nil)
		require.NoError(t, err)
		require.Equal(t, "Bearer "+token, (<-requests).Header.Get("Authorization"))
	}
}

func TestAConnectionThatThereIsNotIsAFailure(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	h, _ := connected(t, Connection{BaseURL: server.URL}, nil, server.Listener.Addr())
	_, err := through(t, h, fields{"connection": "billing"}, nil)
	require.EqualError(t, err, "there is no connection billing")
	other := newRun(t, fields{"connection": "crm"}, nil)
	other.Namespace = "orders"
	_, err = h.Execute(t.Context(), other)
	require.EqualError(t, err, "there is no connection crm", "that of another namespace")
	_, err = through(t, h, fields{"path": "/%2e%2e/x"}, nil)
	require.EqualError(t, err, "the target's path must be a path without . and .. segments, and with at most one query")
	require.Empty(t, requests)
}

func TestPathsStayWithTheirConnection(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	h, _ := connected(t, Connection{BaseURL: server.URL + "/base"}, nil, server.Listener.Addr())
	for path, want := range map[string]string{
		"/a..b/...;x/..a%2Fb?c=../d": "/base/a..b/...;x/..a%2Fb?c=../d",
		"//example.com/x":            "/base//example.com/x",
		"/@example.com":              "/base/@example.com",
		"/a?u=http://x":              "/base/a?u=http://x",
	} {
		require.Empty(t, h.Check(fields{"connection": "crm", "path": path}.json(t), nil), path)
		_, err := through(t, h, fields{"path": path}, nil)
		require.NoError(t, err)
		request := <-requests
		require.Equal(t, want, request.RequestURI)
		require.Equal(t, server.Listener.Addr().String(), request.Host)
	}
	for _, path := range []string{
		"/../x", "/a/%2E%2e/x", "/a/./b", "/a#b", `/a\b`, "/a b\x01", "/%zz", "/..%2fx", "/..%2F..%2fx", "/a%2f..", "/a%5c..%5Cx", "/..;/x", "/%2e.%3bv=1/x",
	} {
		require.NotEmpty(t, h.Check(fields{"connection": "crm", "path": path}.json(t), nil), path)
	}
}

// What the receiver writes is shown without what it was sent.
func TestSecretsOfConnectionsAreRedacted(t *testing.T) {
	t.Parallel()
	const basic, other, client = "open sesame", "s3cret-of-header", "s3cret-of-client"
	server := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(strings.Join([]string{r.Header.Get("Authorization"), r.Header.Get("X-Key"), basic, client, oldSecret, "end"}, " ")))
	})
	h, _ := connected(t, Connection{
		BaseURL: server.URL, SecretHeaders: map[string]string{"X-Key": other}, SigningSecrets: []string{oldSecret},
		Auth: ConnectionAuth{Type: AuthBasic, Username: "anna", Password: basic, ClientSecret: client},
	}, nil, server.Listener.Addr())
	result, err := through(t, h, fields{}, nil)
	require.EqualError(t, err, "answered 418 I'm a teapot")
	assert.NotContains(t, result.Output, base64.StdEncoding.EncodeToString([]byte("anna:"+basic)))
	for _, secret := range []string{basic, other, client, oldSecret, strings.TrimPrefix(oldSecret, signingPrefix)} {
		assert.NotContains(t, result.Output, secret)
	}
	assert.Contains(t, result.Output, "end")
}

// The receiver verifies v1a with the public key alone. The key and the signature are made as
// Standard Webhooks says.
func TestPrivateKeysSign(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	for name, raw := range map[string][]byte{"the seed": private.Seed(), "the whole key": private} {
		secret := privatePrefix + base64.StdEncoding.EncodeToString(raw)
		require.True(t, isSigningSecret(secret), name)
		require.Equal(t, []string{publicPrefix + base64.StdEncoding.EncodeToString(public)}, PublicKeys([]string{oldSecret, secret}))
		h, _ := connected(t, Connection{BaseURL: server.URL, SigningSecrets: []string{secret}}, nil, server.Listener.Addr())
		_, err = through(t, h, fields{}, fields{"signingSecrets": []string{oldSecret}})
		require.NoError(t, err)
		request := <-requests
		signatures := strings.Split(request.Header.Get("Webhook-Signature"), " ")
		require.Len(t, signatures, 2, "one of the target, and one of the connection")
		require.True(t, strings.HasPrefix(signatures[0], "v1,"))
		encoded, isAsymmetric := strings.CutPrefix(signatures[1], "v1a,")
		require.True(t, isAsymmetric)
		signature, err := base64.StdEncoding.DecodeString(encoded)
		require.NoError(t, err)
		signed := request.Header.Get("Webhook-Id") + "." + request.Header.Get("Webhook-Timestamp") + "." + request.body
		require.True(t, ed25519.Verify(public, []byte(signed), signature), name)
	}
	broken := append([]byte{}, private...)
	broken[40]++
	for name, secret := range map[string]string{
		"halves that do not belong together": privatePrefix + base64.StdEncoding.EncodeToString(broken),
		"too short":                          privatePrefix + base64.StdEncoding.EncodeToString(private[:31]),
		"no base64":                          privatePrefix + "???",
	} {
		require.False(t, isSigningSecret(secret), name)
	}
}
