package e2e

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// startWithTokens starts a service that accepts tokens of a provider, and waits until it knows the
// provider's keys.
func startWithTokens(t *testing.T, p *provider, url string) instance {
	t.Helper()
	service := start(t, withTokens(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}, p.Issuer))
	token := p.token(t, "ops", tokenAudience)
	require.Eventually(t, func() bool {
		status, _, _ := service.as(t, token).listStatus(t)
		return status == http.StatusOK
	}, patience, 20*time.Millisecond, "the service knows the provider's keys")
	return service
}

// A program uses the generated client with a token of a real provider.
func TestTokenOfAProvider(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	db := connect(t, url)
	_, err := db.Exec(t.Context(), "insert into namespaces (name, description) values ('payments', ''), ('other', '')")
	require.NoError(t, err)
	p := startProvider(t)
	service := startWithTokens(t, p, url)
	payments := service.as(t, p.token(t, "payments", tokenAudience))
	readers := service.as(t, p.token(t, "readers", tokenAudience))
	ops := service.as(t, p.token(t, "ops", tokenAudience))

	job := payments.createJob(t, "settle", 3600, `{}`)
	var namespace, updatedBy string
	require.NoError(t, db.QueryRow(t.Context(), "select namespace, updated_by from jobs where id = $1", job.Id).Scan(&namespace, &updatedBy))
	assert.Equal(t, "payments", namespace, "the only namespace that the token has rights in")
	assert.Equal(t, "user:payments", updatedBy)
	assert.Equal(t, "settle", readers.getJob(t, job.Id).Name)
	assert.Equal(t, "settle", ops.in(t, "payments").getJob(t, job.Id).Name)

	renamed, err := readers.UpdateJobWithResponse(t.Context(), job.Id, nil, client.JobUpdate{Name: new("mine")})
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, renamed.StatusCode())
	assert.Equal(t, "scope-required", renamed.ApplicationproblemJSON403.Code)
	started, err := payments.RunJobWithResponse(t.Context(), job.Id, nil, client.RunStart{})
	require.NoError(t, err)
	assert.Equal(t, http.StatusForbidden, started.StatusCode(), "runs:write is not granted")

	status, code, _ := payments.in(t, "other").listStatus(t)
	assert.Equal(t, 404, status)
	assert.Equal(t, "namespace-not-found", code, "a namespace without a grant does not exist")
	missing, err := ops.GetJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	assert.Equal(t, 404, missing.StatusCode(), "the job is in another namespace than the default one")
	status, code, _ = service.as(t, p.token(t, "strangers", tokenAudience)).listStatus(t)
	assert.Equal(t, 403, status)
	assert.Equal(t, "scope-required", code, "nothing is granted to the token")
}

// Tokens that are wrong in one way each are refused.
func TestTokensThatAreNotValid(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	service := startWithTokens(t, p, testdb.New(t))
	good := p.token(t, "ops", tokenAudience)
	own := jose.SigningKey{Algorithm: jose.RS256, Key: p.Key}
	parts := strings.Split(good, ".")
	public := p.Key.Public().Key.(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	hmac := jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{
		KeyID: p.Key.KeyID, Key: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	}}
	foreign := startProvider(t)

	for name, token := range map[string]string{
		"for another service":              p.token(t, "ops", "https://other.example.com"),
		"of another provider":              foreign.token(t, "ops", tokenAudience),
		"expired":                          resign(t, good, own, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		"not valid yet":                    resign(t, good, own, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"of another issuer":                resign(t, good, own, map[string]any{"iss": foreign.Issuer}),
		"signed by another key":            resign(t, good, jose.SigningKey{Algorithm: jose.RS256, Key: foreign.Key}, nil),
		"alg none":                         base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".",
		"HS256 signed with the public key": resign(t, good, hmac, nil),
		"its signature cut off":            parts[0] + "." + parts[1] + ".",
		"other claims":                     parts[0] + "." + strings.Split(resign(t, good, own, map[string]any{"sub": "root"}), ".")[1] + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, code, header := service.as(t, token).listStatus(t)
			assert.Equal(t, 401, status)
			assert.Equal(t, "credentials-invalid", code)
			assert.True(t, strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer"))
		})
	}
	for name, token := range map[string]string{"as it is": good, "signed again": resign(t, good, own, nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, _ := service.as(t, token).listStatus(t)
			assert.Equal(t, 200, status)
		})
	}
}

// A provider replaces its key, and the service follows without a restart.
func TestProviderRotatesItsKey(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	service := startWithTokens(t, p, testdb.New(t))
	for range 3 {
		p.rotate(t)
		status, code, _ := service.as(t, p.token(t, "ops", tokenAudience)).listStatus(t)
		require.Equal(t, 200, status, code)
	}
}

// A provider that is down keeps nobody from using keys, and tokens are accepted when it is back.
func TestProviderIsDown(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	token := p.token(t, "ops", tokenAudience)
	p.stop()

	url := testdb.New(t)
	service := start(t, withTokens(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}, p.Issuer))
	_, key := makeKey(t, connect(t, url), "default", keys.Request{})
	status, code, header := service.as(t, token).listStatus(t)
	assert.Equal(t, 503, status)
	assert.Equal(t, "issuer-unavailable", code)
	assert.NotEmpty(t, header.Get("Retry-After"))
	status, _, _ = service.as(t, key).listStatus(t)
	assert.Equal(t, 200, status, "keys go on working")

	again := startProvider(t, p.keyInEnv(t)...)
	require.Eventually(t, func() bool {
		status, _, _ := service.as(t, token).listStatus(t)
		return status == 200
	}, patience, 50*time.Millisecond, "the provider is back")

	another := again.token(t, "ops", tokenAudience)
	again.stop()
	for name, token := range map[string]string{"known": token, "new, of a known key": another} {
		status, _, _ = service.as(t, token).listStatus(t)
		assert.Equal(t, 200, status, name)
	}
}
