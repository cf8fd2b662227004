package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// startCalling starts an instance that executes runs and can call servers of the test.
func startCalling(t *testing.T, database string, urls ...string) instance {
	t.Helper()
	c := app.Config{
		Database: app.DatabaseConfig{URL: database}, SecretKeys: keyring(t, "one"), ShutdownGrace: 5 * time.Second,
		OutboundAllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	for _, at := range urls {
		u, err := url.Parse(at)
		require.NoError(t, err)
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		require.NoError(t, err)
		c.OutboundAllowPorts = append(c.OutboundAllowPorts, uint16(port))
	}
	return start(t, c)
}

// connection creates a connection of a JSON text.
func (i instance) connection(t *testing.T, body string) client.Connection {
	t.Helper()
	created, err := i.CreateConnectionWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	return *created.JSON201
}

// patchConnection changes the connection crm.
func (i instance) patchConnection(t *testing.T, body string) *client.UpdateConnectionResponse {
	t.Helper()
	answer, err := i.UpdateConnectionWithBodyWithResponse(t.Context(), "crm", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	return answer
}

// calling creates a job that calls the connection crm when it is asked to.
func (i instance) calling(t *testing.T) uuid.UUID {
	t.Helper()
	return i.create(t, `{"name":"calls","onDemand":true,"maxAttempts":1,"target":{"type":"http","connection":"crm","path":"/x"}}`).Id
}

// runs starts a run of a job and returns how it has ended.
func (i instance) runs(t *testing.T, job uuid.UUID) client.Run {
	t.Helper()
	started, err := i.RunJobWithResponse(t.Context(), job, nil, client.RunStart{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, started.StatusCode(), "started: %s", started.Body)
	var run client.Run
	require.Eventually(t, func() bool {
		run = i.readRun(t, started.JSON202.Id)
		return run.FinishedAt != nil
	}, patience, 10*time.Millisecond, "the run ends")
	return run
}

// seen starts a receiver that passes on the Authorization of each request, and answers with what
// admit returns.
func seen(t *testing.T, admit func(authorization string) int) (url string, all <-chan string) {
	t.Helper()
	headers := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header.Get("Authorization")
		w.WriteHeader(admit(r.Header.Get("Authorization")))
	}))
	t.Cleanup(server.Close)
	return server.URL, headers
}

// A receiver verifies the token by a common library and the keys that the service publishes.
func TestAReceiverVerifiesSignedTokens(t *testing.T) {
	t.Parallel()
	var service atomic.Pointer[instance]
	claims := make(chan map[string]any, 1)
	receiver, _ := seen(t, func(authorization string) int {
		answer, err := http.Get(service.Load().url + "/.well-known/jwks.json")
		if !assert.NoError(t, err) { //nolint:testifylint // only the goroutine of the test may stop it
			return http.StatusInternalServerError
		}
		defer func() { _ = answer.Body.Close() }()
		var keys jose.JSONWebKeySet
		assert.NoError(t, json.NewDecoder(answer.Body).Decode(&keys)) //nolint:testifylint // as above
		token, err := jwt.ParseSigned(strings.TrimPrefix(authorization, "Bearer "), []jose.SignatureAlgorithm{jose.EdDSA})
		if !assert.NoError(t, err) {
			return http.StatusUnauthorized
		}
		var standard jwt.Claims
		more := map[string]any{}
		if !assert.NoError(t, token.Claims(keys, &standard, &more)) {
			return http.StatusUnauthorized
		}
		assert.NoError(t, standard.Validate(jwt.Expected{Issuer: "punctual", AnyAudience: jwt.Audience{"crm"}, Time: time.Now()}))
		claims <- more
		return http.StatusNoContent
	})
	i := startCalling(t, testdb.New(t), receiver)
	service.Store(&i)
	i.connection(t, `{"key":"crm","baseUrl":"`+receiver+`","auth":{"type":"jwt","audience":"crm"}}`)
	job := i.calling(t)
	run := i.runs(t, job)
	require.Equal(t, client.RunStatusSUCCEEDED, run.Status)
	got := <-claims
	require.Equal(t, run.Id.String(), got["runId"])
	require.Equal(t, job.String(), got["jobId"])
	require.Equal(t, "default", got["sub"])
	published, err := i.GetJwksWithResponse(t.Context())
	require.NoError(t, err)
	require.Len(t, published.JSON200.Keys, 1)
	require.NotContains(t, string(published.Body), `"d"`, "no private key")
}

// Access tokens come from a real provider. One serves many runs; a run after its end gets another.
func TestAccessTokensOfAProvider(t *testing.T) {
	t.Parallel()
	// A token is sent for eight seconds: ten are left for clocks that differ.
	p := startProvider(t, "DEFAULT_RESOURCE="+tokenAudience, "TOKEN_SECONDS=18")
	verifier := p.Key.Public()
	receiver, headers := seen(t, func(authorization string) int {
		token, err := jwt.ParseSigned(strings.TrimPrefix(authorization, "Bearer "), []jose.SignatureAlgorithm{jose.RS256})
		var claims jwt.Claims
		if err != nil || token.Claims(verifier, &claims) != nil || claims.Validate(jwt.Expected{Issuer: p.Issuer, Time: time.Now()}) != nil {
			return http.StatusUnauthorized
		}
		return http.StatusOK
	})
	i := startCalling(t, testdb.New(t), receiver, p.Issuer)
	i.connection(t, `{"key":"crm","baseUrl":"`+receiver+`","auth":{"type":"oauth2","tokenUrl":"`+p.Issuer+
		`/token","clientId":"payments","clientSecret":"`+providerClients["payments"].Secret+`","scopes":["read"]}}`)
	job := i.calling(t)
	require.Equal(t, client.RunStatusSUCCEEDED, i.runs(t, job).Status)
	first := <-headers
	require.Equal(t, client.RunStatusSUCCEEDED, i.runs(t, job).Status)
	require.Equal(t, first, <-headers, "the token is kept")
	require.Eventually(t, func() bool {
		return i.runs(t, job).Status == client.RunStatusSUCCEEDED && <-headers != first
	}, patience, 200*time.Millisecond, "another token comes before the first one ends")

	require.Equal(t, http.StatusOK, i.patchConnection(t, `{"auth":{"type":"oauth2","tokenUrl":"`+p.Issuer+
		`/token","clientId":"payments","clientSecret":"wr0ng-secret","scopes":["read"]}}`).StatusCode())
	failed := i.runs(t, job)
	require.Equal(t, client.RunStatusFAILED, failed.Status)
	require.Equal(t, "no access token: its endpoint answered 401 Unauthorized (invalid_client)", *failed.Error)
}

// One change replaces a token for all jobs on all instances.
func TestATokenIsReplacedByOneRequest(t *testing.T) {
	t.Parallel()
	receiver, headers := seen(t, func(string) int { return http.StatusOK })
	database := testdb.New(t)
	one, two := startCalling(t, database, receiver), startCalling(t, database, receiver)
	one.connection(t, `{"key":"crm","baseUrl":"`+receiver+`","auth":{"type":"bearer","token":"t0ken-before"}}`)
	var jobs []uuid.UUID
	for range 6 {
		jobs = append(jobs, one.calling(t))
	}
	both := func() {
		for n, job := range jobs {
			require.Equal(t, client.RunStatusSUCCEEDED, []instance{one, two}[n%2].runs(t, job).Status)
		}
	}
	both()
	for range jobs {
		require.Equal(t, "Bearer t0ken-before", <-headers)
	}
	answer := two.patchConnection(t, `{"auth":{"type":"bearer","token":"t0ken-after"}}`)
	require.Equal(t, http.StatusOK, answer.StatusCode(), "%s", answer.Body)
	require.NotContains(t, string(answer.Body), "t0ken")
	changed := time.Now()
	require.Eventually(t, func() bool {
		both()
		isNew := true
		for range jobs {
			isNew = isNew && <-headers == "Bearer t0ken-after"
		}
		return isNew
	}, patience, 10*time.Millisecond, "all runs use the new token")
	require.Less(t, time.Since(changed), 10*time.Second)

	moved := two.patchConnection(t, `{"baseUrl":"https://crm.example.com"}`)
	require.Equal(t, http.StatusBadRequest, moved.StatusCode())
	require.Equal(t, "auth.token secret-required", (*moved.ApplicationproblemJSON400.Errors)[0].Field+" "+(*moved.ApplicationproblemJSON400.Errors)[0].Code)
}

// A connection is nobody's in another namespace, and stays while a job needs it.
func TestConnectionsKeepToTheirNamespace(t *testing.T) {
	t.Parallel()
	blue, red, _ := twoNamespaces(t)
	blue.connection(t, `{"key":"crm","baseUrl":"https://crm.example.com"}`)
	job := blue.calling(t)
	refused := red.refuse(t, `{"name":"x","onDemand":true,"target":{"type":"http","connection":"crm"}}`)
	require.Equal(t, "target.connection not-found", refused[0].Field+" "+refused[0].Code)
	got, err := red.GetConnectionWithResponse(t.Context(), "crm")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, got.StatusCode())
	listed, err := red.ListConnectionsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, listed.JSON200.Items)
	red.connection(t, `{"key":"crm","baseUrl":"https://other.example.com"}`)

	kept, err := blue.DeleteConnectionWithResponse(t.Context(), "crm")
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, kept.StatusCode())
	require.Equal(t, "connection-in-use", kept.ApplicationproblemJSON409.Code)
	_, err = blue.DeleteJobWithResponse(t.Context(), job, nil)
	require.NoError(t, err)
	gone, err := blue.DeleteConnectionWithResponse(t.Context(), "crm")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode(), "%s", gone.Body)
	still, err := red.GetConnectionWithResponse(t.Context(), "crm")
	require.NoError(t, err)
	require.Equal(t, "https://other.example.com", still.JSON200.BaseUrl)
}

// The secrets of a job go where they were sent: the job keeps them while it stays with its
// connection, and its connection stays at its host.
func TestSecretsOfJobsDoNotMoveWithTheirConnection(t *testing.T) {
	t.Parallel()
	i := startCalling(t, testdb.New(t))
	i.connection(t, `{"key":"crm","baseUrl":"https://crm.example.com"}`)
	i.connection(t, `{"key":"evil","baseUrl":"https://evil.example.com"}`)
	job := i.create(t, `{"name":"x","onDemand":true,"target":{"type":"http","connection":"crm","secretHeaders":{"X-Key":"s3cret-of-job"}}}`)
	changed := i.patch(t, job.Id, `{"target":{"secretHeaders":{"X-Other":"s3cret-too"}}}`)
	require.Equal(t, http.StatusOK, changed.StatusCode(), "%s", changed.Body)
	for _, target := range []string{`{"connection":"evil"}`, `{"connection":"evil","secretHeaders":{"X-Other":"new"}}`, `{"connection":null,"url":"https://evil.example.com"}`} {
		require.Equal(t, http.StatusBadRequest, i.patch(t, job.Id, `{"target":`+target+`}`).StatusCode(), target)
	}
	moved := i.patchConnection(t, `{"baseUrl":"https://evil.example.com"}`)
	require.Equal(t, http.StatusBadRequest, moved.StatusCode(), "%s", moved.Body)
	require.Equal(t, "baseUrl conflicting", (*moved.ApplicationproblemJSON400.Errors)[0].Field+" "+(*moved.ApplicationproblemJSON400.Errors)[0].Code)
	require.Equal(t, http.StatusOK, i.patchConnection(t, `{"baseUrl":"https://crm.example.com/v2"}`).StatusCode())
	i.patch(t, job.Id, `{"target":{"secretHeaders":null}}`)
	require.Equal(t, http.StatusOK, i.patchConnection(t, `{"baseUrl":"https://new.example.com"}`).StatusCode())
}
