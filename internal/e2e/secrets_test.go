package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/logging"
	"punctual/internal/secrets"
	"punctual/internal/testdb"
)

// The secrets of the test: a header that JSON, SQL and logs would escape, and a signing key.
const (
	headerSecret  = `Bearer hush-"quoted"-\back\-<b>-é-4711`
	signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// keyring returns keys for secrets; the first seals.
func keyring(t *testing.T, ids ...string) secrets.Keyring {
	t.Helper()
	var keys []string
	for _, id := range ids {
		keys = append(keys, id+":"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(id[:1]), 32)))
	}
	ring, err := secrets.ParseKeyring(strings.Join(keys, ","))
	require.NoError(t, err)
	return ring
}

// reachable lets http targets reach a server of the test.
func reachable(t *testing.T, c app.Config, at string) app.Config {
	t.Helper()
	u, err := url.Parse(at)
	require.NoError(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	require.NoError(t, err)
	c.OutboundAllowCIDRs, c.OutboundAllowPorts = []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"),
	}, []uint16{
		uint16(port),
	}
	return c
}

// transcript collects the answers of the API, and the log.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// RoundTrip notes the answer to a request.
func (s *transcript) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	_, err = s.Write(body)
	return answer, err
}

// echo starts a target that answers with the headers of the request, in several forms, and fails.
func echo(t *testing.T) (*httptest.Server, <-chan http.Header) {
	t.Helper()
	heard := make(chan http.Header, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- r.Header
		w.WriteHeader(http.StatusInternalServerError)
		encoded, _ := json.Marshal(r.Header)
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+"\n"+string(encoded))
	}))
	t.Cleanup(server.Close)
	return server, heard
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	// They are sent to their target only.
	t.Run("are in no row, log line, answer or error", func(t *testing.T) {
		t.Parallel()
		server, heard := echo(t)
		databaseURL := testdb.New(t)
		var seen transcript
		config := reachable(t, app.Config{
			Database: app.DatabaseConfig{URL: databaseURL}, SecretKeys: keyring(t, "first"), Host: "127.0.0.1",
		}, server.URL)
		service, err := app.New(t.Context(), config, logging.New(&seen, slog.LevelDebug))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- service.Run(ctx) }()
		c, err := client.NewClientWithResponses(service.URL(), client.WithHTTPClient(&http.Client{Transport: &seen}))
		require.NoError(t, err)

		target := func(secretHeaders, signingSecrets string) string {
			return `{"type":"http","url":"` + server.URL + `/x","secretHeaders":` + secretHeaders +
				`,"signingSecrets":` + signingSecrets + `}`
		}
		header, err := json.Marshal(map[string]string{"Authorization": headerSecret})
		require.NoError(t, err)
		create := func(target string) *client.CreateJobResponse {
			created, err := c.CreateJobWithBodyWithResponse(
				t.Context(),
				nil,
				"application/json",
				strings.NewReader(
					`{"name":"n","intervalInSeconds":1,"maxAttempts":2,"minBackoffSeconds":0,"maxBackoffSeconds":0,"target":`+
						target+`}`,
				),
			)
			require.NoError(t, err)
			return created
		}
		for name, wrong := range map[string]string{
			"a header of another type": target(`{"Authorization":["`+signingSecret+`"]}`, `[]`),
			"a forbidden header":       target(`{"Host":"`+signingSecret+`"}`, `[]`),
			"no signing key":           target(`{}`, `["`+signingSecret+`?"]`),
			"too many signing keys":    target(`{}`, `["`+signingSecret+`","`+signingSecret+`","`+signingSecret+`"]`),
			"a credential in the open": `{"type":"http","url":"` + server.URL +
				`","headers":{"Authorization":"` + signingSecret + `"}}`,
			"credentials in the URL": `{"type":"http","url":"http://u:` + signingSecret + `@127.0.0.1/"}`,
		} {
			refused := create(wrong)
			require.Equal(t, http.StatusBadRequest, refused.StatusCode(), name)
			require.NotEmpty(t, refused.ApplicationproblemJSON400.Errors, name)
		}

		created := create(target(string(header), `["`+signingSecret+`"]`))
		require.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body)
		job := created.JSON201
		require.Equal(t, []string{"secretHeaders.Authorization", "signingSecrets"}, job.TargetSecrets, "their names are seen")
		require.Equal(t, headerSecret, (<-heard).Get("Authorization"), "the target is told")
		require.NotEmpty(t, (<-heard).Get("Webhook-Signature"))
		require.Eventually(t, func() bool {
			runs, err := c.ListJobRunsWithResponse(
				t.Context(),
				job.Id,
				&client.ListJobRunsParams{Status: &client.RunStatuses{client.RunStatusFAILED}},
			)
			require.NoError(t, err)
			return len(runs.JSON200.Items) > 0 && strings.Contains(runs.JSON200.Items[0].Result.Output, "[redacted]")
		}, 10*time.Second, 50*time.Millisecond, "the history has the echo, but not the secret")
		updated, err := c.UpdateJobWithResponse(t.Context(), job.Id, nil, client.JobUpdate{Name: new("renamed")})
		require.NoError(t, err)
		require.Equal(t, job.TargetSecrets, updated.JSON200.TargetSecrets)
		stop()
		require.NoError(t, <-ended)

		rows := dump(t, connect(t, databaseURL))
		require.Contains(t, rows, "renamed", "the dump has what is stored")
		require.Contains(t, rows, "[redacted]")
		for _, secret := range []string{headerSecret, signingSecret} {
			for form, text := range forms(t, secret) {
				require.NotContains(t, rows, text, "rows have no secret, %s", form)
				require.NotContains(t, seen.String(), text, "log and answers have no secret, %s", form)
			}
		}
	})
	t.Run("need a key", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		refused, err := service.CreateJobWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(
			`{"name":"n","intervalInSeconds":1,"target":`+
				`{"type":"http","url":"https://example.com","secretHeaders":{"X-Key":"k"}}}`,
		))
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, refused.StatusCode())
		wrong := *refused.ApplicationproblemJSON400.Errors
		require.Len(t, wrong, 1)
		require.Equal(t, "target.secretHeaders", wrong[0].Field)
		require.Contains(t, wrong[0].Detail, "SECRET_KEYS")
		require.Zero(t, count(t, db, "select count(*) from jobs"))
	})
	// A caller that may change a job cannot read its secrets by sending them somewhere else.
	t.Run("stay with their host", func(t *testing.T) {
		t.Parallel()
		database := testdb.New(t)
		service := start(
			t,
			app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: database}, SecretKeys: keyring(t, "first")},
		)
		created, err := service.CreateJobWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(
			`{"name":"n","intervalInSeconds":60,"target":`+
				`{"type":"http","url":"https://example.com/a","secretHeaders":{"X-Key":"k"}}}`,
		))
		require.NoError(t, err)
		job := created.JSON201.Id

		same := service.patch(t, job, `{"target":{"type":"http","url":"https://example.com/b"}}`)
		require.Equal(t, []string{"secretHeaders.X-Key"}, same.JSON200.TargetSecrets, "kept")
		for name, target := range map[string]string{
			"another host":   `{"type":"http","url":"https://example.org/a"}`,
			"another scheme": `{"type":"http","url":"http://example.com/a"}`,
			"another port":   `{"type":"http","url":"https://example.com:80/a"}`,
		} {
			refused, err := service.UpdateJobWithBodyWithResponse(
				t.Context(),
				job,
				nil,
				"application/json",
				strings.NewReader(`{"target":`+target+`}`),
			)
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, refused.StatusCode(), name)
			require.Equal(t, "target.secretHeaders", (*refused.ApplicationproblemJSON400.Errors)[0].Field, name)
		}
		given := service.patch(
			t,
			job,
			`{"target":{"type":"http","url":"https://example.org/a","secretHeaders":{"X-Other":"o","X-Key":null}}}`,
		)
		require.Equal(t, []string{"secretHeaders.X-Other"}, given.JSON200.TargetSecrets)
		cleared := service.patch(t, job, `{"target":{"type":"http","url":"https://example.org/a","secretHeaders":null}}`)
		require.Empty(t, cleared.JSON200.TargetSecrets)
		service.patch(t, job, `{"target":{"type":"http","url":"https://example.org/a","secretHeaders":{"X-Key":"k"}}}`)
		other := service.patch(t, job, `{"target":{"type":"log"}}`)
		require.Empty(t, other.JSON200.TargetSecrets, "a target that has no such secret has none")
		require.Equal(
			t,
			1,
			count(t, connect(t, database), "select count(*) from jobs where sealed_secrets is null"),
			"nothing is left of them",
		)
	})
}

// forms returns the forms in which a secret may be readable.
func forms(t *testing.T, secret string) map[string]string {
	t.Helper()
	encoded, err := json.Marshal(secret)
	require.NoError(t, err)
	core := strings.TrimPrefix(strings.TrimPrefix(secret, "Bearer "), "whsec_")
	return map[string]string{
		"as it is": core, "in JSON": strings.Trim(string(encoded), `"`), "in hex": hex.EncodeToString([]byte(core)),
		"as a URL has it": url.QueryEscape(core),
	}
}

// dump returns all rows of all tables, as text.
func dump(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select format('select %1$I::text from %1$I', c.relname) from pg_class c
		where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v')`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 4)
	var all strings.Builder
	for _, table := range tables {
		rows, err := pool.Query(t.Context(), table)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		all.WriteString(strings.Join(lines, "\n"))
	}
	return all.String()
}
