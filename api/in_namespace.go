package api

import (
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/internal/access"
	"punctual/internal/namespaces"
)

// inNamespace refuses a request whose namespace there is not, and gives the caller the limits of
// the namespace.
func inNamespace(cache *namespaces.Cache, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller := access.From(r.Context())
			var err error
			if !access.IsNamespace(caller.Namespace) {
				err = access.ErrNoNamespace
			} else {
				caller.Limits, err = cache.Limits(r.Context(), caller.Namespace)
			}
			if err != nil {
				errs.failed(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(access.With(r.Context(), caller)))
		})
	}
}

// forServiceWide refuses a caller who is bound to one namespace an operation that the contract
// keeps for others (x-service-wide).
func forServiceWide(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			isKept, _ := operation(spec, r).Extensions["x-service-wide"].(bool)
			if isKept && !access.From(r.Context()).IsServiceWide {
				errs.write(w, problem(r.Context(), serviceWideRequired, ""))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
