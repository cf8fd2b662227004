package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"punctual/gen/server"
	"punctual/internal/access"
)

// openOperations are open to everybody. Whoever opens another one has to say so here.
var openOperations = []string{"getLiveness", "getReadiness", "getJwks"}

// forEachOperation calls do with each operation of the contract. What that changes of the operation
// is undone.
func forEachOperation(t *testing.T, do func(spec *openapi3.T, name string, op *openapi3.Operation)) {
	t.Helper()
	whole, err := server.GetSpec()
	require.NoError(t, err)
	for path, item := range whole.Paths.Map() {
		for method, op := range item.Operations() {
			before := *op
			do(whole, method+" "+path, op)
			*op = before
		}
	}
}

// New, and with it each start of the service and each of its tests, fails if an operation has no
// scope.
func TestScopesOf(t *testing.T) {
	t.Parallel()
	forEachOperation(t, func(spec *openapi3.T, name string, op *openapi3.Operation) {
		before, err := scopesOf(spec)
		require.NoError(t, err)
		if slices.Contains(openOperations, op.OperationID) {
			require.Equal(t, open, before[name], "%s is open", op.OperationID)
		} else {
			require.Contains(t, append(access.Scopes, anyScope), before[name], "%s needs a scope", op.OperationID)
		}

		op.Security = nil
		for what, scope := range map[string]any{
			"none": nil, "an empty one": "", "a misspelt one": "jobs:raed", "a list": []any{"jobs:read"}, "one in capitals": "JOBS:READ",
		} {
			op.Extensions = map[string]any{"x-required-scope": scope}
			_, err = scopesOf(spec)
			require.ErrorContains(t, err, name, "the scope is %s", what)
		}
		op.Extensions = nil
		_, err = scopesOf(spec)
		require.ErrorContains(t, err, name, "there is no scope")

		// Schemes of its own do not stand for a scope, not even the one that anybody satisfies.
		op.Security = openapi3.NewSecurityRequirements().With(openapi3.NewSecurityRequirement())
		_, err = scopesOf(spec)
		require.ErrorContains(t, err, name, "it names schemes instead of a scope")
	})
}

// A route that is not in the contract is nobody's, so that a mistake cannot open it.
func TestAuthorizeRefusesWhatTheContractDoesNotHave(t *testing.T) {
	t.Parallel()
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(authorize(operationScopes{"GET /known": open}, nil, errorWriter{slog.New(slog.DiscardHandler)}))
		for _, path := range []string{"/known", "/forgotten"} {
			r.Get(path, func(http.ResponseWriter, *http.Request) {})
		}
	})
	for path, status := range map[string]int{"/known": http.StatusOK, "/forgotten": http.StatusNotFound} {
		answer := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(access.With(t.Context(), access.Anonymous("default")), http.MethodGet, path, nil)
		r.ServeHTTP(answer, request)
		require.Equal(t, status, answer.Code, path)
	}
}
