package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"punctual/gen/server"
	"punctual/internal/jobs"
)

func TestProblemOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int32
		code   jobs.Code
		fields []server.FieldError
		// isLogged tells that the error is not one that a request can expect.
		isLogged bool
	}{
		"no job":   {jobs.ErrNotFound, 404, jobNotFound, nil, false},
		"no run":   {jobs.ErrRunNotFound, 404, runNotFound, nil, false},
		"conflict": {&jobs.Conflict{Code: jobs.RunHasEnded, Detail: "The run has ended."}, 409, jobs.RunHasEnded, nil, false},
		"fields": {
			&jobs.Invalid{Fields: []jobs.Field{{Name: "cron", Code: jobs.NeverDue, Detail: "is never due again"}}}, 400, invalidRequest,
			[]server.FieldError{{In: "body", Field: "cron", Code: "never-due", Detail: "is never due again"}},
			false,
		},
		"a parameter": {
			invalidQuery("cursor", jobs.WrongFormat, "is not a cursor"), 400, invalidRequest,
			[]server.FieldError{{In: "query", Field: "cursor", Code: "wrong-format", Detail: "is not a cursor"}},
			false,
		},
		"no database": {&pgconn.ConnectError{}, 503, databaseUnavailable, nil, true},
		"a bug":       {errors.New("secret internals"), 500, internalError, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, isExpected := problemOf(t.Context(), fmt.Errorf("do something: %w", c.err))
			require.Equal(t, c.status, p.Status)
			require.Equal(t, string(c.code), p.Code)
			require.Equal(t, http.StatusText(int(c.status)), p.Title)
			require.NotEmpty(t, p.Detail)
			require.NotContains(t, p.Detail, "secret internals", "a client sees no internal text")
			require.Equal(t, c.isLogged, !isExpected)
			if c.fields == nil {
				require.Nil(t, p.Errors)
			} else {
				require.Equal(t, c.fields, *p.Errors)
			}
		})
	}
}

// A client that has gone is not answered.
func TestFailedForAClientThatHasGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	answer := httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		errorWriter{slog.New(slog.DiscardHandler)}.failed(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), jobs.ErrNotFound)
	}, "the server ends the connection")
	require.Empty(t, answer.Body.String())
}

var inCode = regexp.MustCompile("`([a-z][a-z-]+)`")

// codesIn returns the codes that the contract lists for a schema.
func codesIn(t *testing.T, schema string) []string {
	t.Helper()
	spec, err := server.GetSpec()
	require.NoError(t, err)
	var codes []string
	for _, match := range inCode.FindAllStringSubmatch(spec.Components.Schemas[schema].Value.Properties["code"].Value.Description, -1) {
		if match[1] != "status" {
			codes = append(codes, match[1])
		}
	}
	slices.Sort(codes)
	return codes
}

// The contract lists the codes that there are, and no problem is without a status.
func TestCodesAreInTheContract(t *testing.T) {
	t.Parallel()
	var codes []string
	for code, p := range problems {
		require.NotEmpty(t, http.StatusText(p.status), "the status of %s", code)
		codes = append(codes, string(code))
	}
	slices.Sort(codes)
	require.Equal(t, codesIn(t, "Problem"), codes)

	listed := codesIn(t, "FieldError")
	for _, code := range slices.Sorted(maps.Values(schemaCodes)) {
		require.Contains(t, listed, code)
	}
	for _, code := range []jobs.Code{
		jobs.Required, jobs.WrongFormat, jobs.TooLarge, jobs.TooSmall, jobs.Conflicting, jobs.NotAllowed, jobs.NeverDue,
		jobs.InTheFuture, jobs.OlderThanRetention, jobs.TooManyOccurrences, jobs.SecretKeyMissing, jobs.SecretRequired,
		jobs.NotUnique, jobs.NotFound, unknownField, wrongType, notValid,
	} {
		require.Contains(t, listed, string(code))
	}
}

// The defaults and secrets of jobs come from the contract.
func TestJobContract(t *testing.T) {
	t.Parallel()
	c, err := JobContract()
	require.NoError(t, err)
	require.Equal(t, jobs.Given(jobs.Target{"type": "log"}), c.Defaults.Target)
	require.Equal(t, jobs.Given(int16(3)), c.Defaults.MaxAttempts)
	require.False(t, c.Defaults.MaxRuns.IsGiven, "it has no default")
	require.Equal(t, map[string]bool{"secretHeaders": true, "signingSecrets": true}, c.TargetTypes["http"].IsSecret)
	require.Equal(t, "POST", c.TargetTypes["http"].Defaults["method"])
}
