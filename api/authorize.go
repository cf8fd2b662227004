package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/internal/access"
	"punctual/internal/ratelimit"
)

// namespaceHeader names the namespace of a request.
const namespaceHeader = "Punctual-Namespace"

// operationScopes has the scope that each operation needs, by method and path as chi routes them.
type operationScopes map[string]access.Scope

// open stands for the scope of an operation that everybody may call.
const open access.Scope = ""

// anyScope stands for the scope of an operation that every caller may call who is known.
const anyScope access.Scope = "any"

// scopesOf reads the scope of each operation from the contract. It returns an error if an operation
// names none and does not say that it is open.
func scopesOf(spec *openapi3.T) (operationScopes, error) {
	scopes := operationScopes{}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security != nil && len(*op.Security) == 0 {
				scopes[method+" "+path] = open
				continue
			}
			name, _ := op.Extensions["x-required-scope"].(string)
			scope := access.Scope(name)
			if scope != anyScope && !slices.Contains(access.Scopes, scope) {
				return nil, fmt.Errorf("the contract: %s %s needs the scope %q, which there is not", method, path, name)
			}
			scopes[method+" "+path] = scope
		}
	}
	return scopes, nil
}

// unlessOpen leaves a middleware out for the operations that are open to everybody.
func unlessOpen(scopes operationScopes, middleware func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		guarded := middleware(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if scopes[routed(r)] == open {
				next.ServeHTTP(w, r)
				return
			}
			guarded.ServeHTTP(w, r)
		})
	}
}

// authenticate finds out who calls, and in which namespace. If who is nil, nobody has to say who
// they are.
func authenticate(
	who *access.Authenticator, attempts *ratelimit.Attempts, public publicOperations, errs errorWriter,
) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, err := callerOf(attempts, who, r)
			if errors.Is(err, access.ErrNoCredentials) && public[routed(r)] {
				caller, err = nobody(r), nil
			}
			if err != nil {
				errs.failed(w, r, err)
				return
			}
			r = withCaller(r, caller)
			if who != nil {
				r = r.WithContext(access.WithRecheck(r.Context(), func(ctx context.Context) error {
					_, err := who.Authenticate(ctx, r.Header.Values("Authorization"))
					return err
				}))
			}
			next.ServeHTTP(w, r)
		})
	}
}

// publicOperations are those that show what is public to everybody, and more to callers who have
// the scope. They ask who calls by themselves.
type publicOperations map[string]bool

func publicOf(spec *openapi3.T) publicOperations {
	public := publicOperations{}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			public[method+" "+path], _ = op.Extensions["x-public"].(bool)
		}
	}
	return public
}

// nobodysRequests is how many requests in a second may come from an address without credentials.
const nobodysRequests int32 = 50

// nobody returns a caller without credentials, who may do nothing.
func nobody(r *http.Request) access.Caller {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // one that cannot be read is an address like others
	return access.Caller{
		Actor: addressMark + from.Addr().String(), Namespace: access.DefaultNamespace, RequestsPerSecond: new(nobodysRequests),
	}
}

// addressMark begins the names of callers without credentials.
const addressMark = "address:"

// callerOf returns who makes a request, and in which namespace.
func callerOf(attempts *ratelimit.Attempts, who *access.Authenticator, r *http.Request) (caller access.Caller, err error) {
	caller = access.Anonymous("")
	if who != nil {
		caller, err = authenticateFrom(attempts, who, r)
	}
	if err != nil {
		return access.Caller{}, err
	}
	// A name has no comma, so a request that names two namespaces names one that does not exist.
	return caller.In(strings.Join(r.Header.Values(namespaceHeader), ","))
}

// routed returns the operation that a request was routed to, as operationScopes names it.
func routed(r *http.Request) string { return r.Method + " " + patternOf(r) }

// authorize refuses an operation whose scope the caller does not have. It refuses everybody where
// the contract has no operation.
func authorize(scopes operationScopes, public publicOperations, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scope, isKnown := scopes[routed(r)]
			switch {
			case !isKnown:
				errs.notFound(w, r)
			case scope != open && scope != anyScope && !public[routed(r)] && !access.From(r.Context()).May(scope):
				errs.failed(w, r, errScope(scope))
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}
