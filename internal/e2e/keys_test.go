package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/keys"
)

// listStatus returns what a request for the list of jobs is answered, and the code of the problem
// if it is one.
func (i instance) listStatus(t *testing.T) (status int, code string, header http.Header) {
	t.Helper()
	got, err := i.ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	for _, problem := range []*client.Problem{
		got.ApplicationproblemJSON401, got.ApplicationproblemJSON403, got.ApplicationproblemJSON404, got.ApplicationproblemJSON503,
	} {
		if problem != nil {
			code = problem.Code
		}
	}
	return got.StatusCode(), code, got.HTTPResponse.Header
}

func TestKeysAreNeeded(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	_, key := makeKey(t, db, "default", keys.Request{})
	_, readOnly := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.JobsRead}})

	for name, c := range map[string]struct {
		headers http.Header
		status  int
		code    string
	}{
		"none":                {nil, 401, "credentials-required"},
		"empty":               {http.Header{"Authorization": {""}}, 401, "credentials-required"},
		"another scheme":      {http.Header{"Authorization": {"Basic " + key}}, 401, "credentials-invalid"},
		"no scheme":           {http.Header{"Authorization": {key}}, 401, "credentials-invalid"},
		"nothing after it":    {http.Header{"Authorization": {"Bearer "}}, 401, "credentials-invalid"},
		"two keys":            {http.Header{"Authorization": {"Bearer " + key, "Bearer " + key}}, 401, "credentials-invalid"},
		"malformed":           {http.Header{"Authorization": {"Bearer " + key[:len(key)-1]}}, 401, "credentials-invalid"},
		"a token":             {http.Header{"Authorization": {"Bearer eyJhbGciOiJub25lIn0.e30."}}, 401, "credentials-invalid"},
		"unknown":             {http.Header{"Authorization": {"Bearer " + unknownKey}}, 401, "credentials-invalid"},
		"right":               {http.Header{"Authorization": {"Bearer " + key}}, 200, ""},
		"another case":        {http.Header{"Authorization": {"bearer " + key}}, 200, ""},
		"one scope":           {http.Header{"Authorization": {"Bearer " + readOnly}}, 200, ""},
		"its namespace":       {http.Header{"Authorization": {"Bearer " + key}, "Punctual-Namespace": {"default"}}, 200, ""},
		"another's namespace": {http.Header{"Authorization": {"Bearer " + key}, "Punctual-Namespace": {"other"}}, 404, "namespace-not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, code, header := service.with(t, c.headers).listStatus(t)
			require.Equal(t, c.status, status)
			require.Equal(t, c.code, code)
			require.Equal(t, status == http.StatusUnauthorized, strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer"))
		})
	}
	t.Run("another scope", func(t *testing.T) {
		t.Parallel()
		got, err := service.as(t, readOnly).CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: "no", IntervalInSeconds: new(int64(60))})
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, got.StatusCode())
		require.Equal(t, "scope-required", got.ApplicationproblemJSON403.Code)
	})
	t.Run("probes and the documentation are open", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/livez", "/readyz", "/docs", "/openapi.yaml"} {
			got, err := http.Get(service.url + path)
			require.NoError(t, err)
			require.NoError(t, got.Body.Close())
			require.Equal(t, http.StatusOK, got.StatusCode, path)
		}
	})
}

// unknownKey has the right form and checksum.
const unknownKey = "punc_aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag6kh3"
