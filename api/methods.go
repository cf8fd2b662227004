package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
)

// answerHead answers HEAD as GET. The HTTP server itself leaves the body out.
func answerHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			requestOf(r.Context()).isHead = true
			r = r.WithContext(r.Context()) // a copy: the server has to see the method of the original
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// keepToMethods answers a request to a path of the contract that has no parameters, if the contract
// has not the method for it. chi would look for another path that has it, such as /jobs/{id}.
func keepToMethods(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	takes := map[string]string{}
	for path, item := range spec.Paths.Map() {
		if !strings.Contains(path, "{") {
			takes[path] = listMethods(func(method string) bool { return item.GetOperation(method) != nil })
		}
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			methods, isFixed := takes[cmp.Or(r.URL.RawPath, r.URL.Path)]
			if isFixed && !slices.Contains(strings.Split(methods, ", "), r.Method) {
				errs.notAllowed(w, r, methods)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// allowed returns the methods of a path, as the header Allow lists them. It is empty if there is
// nothing at the path.
func allowed(r *http.Request) string {
	routes := chi.RouteContext(r.Context()).Routes
	path := cmp.Or(r.URL.RawPath, r.URL.Path) // as chi matches it
	return listMethods(func(method string) bool { return routes.Match(chi.NewRouteContext(), method, path) })
}

// listMethods returns methods as the header Allow lists them.
func listMethods(has func(method string) bool) string {
	var methods []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if has(method) {
			methods = append(methods, method)
			if method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	return strings.Join(methods, ", ")
}

// notFoundAsProblem replaces what a handler answers with status 404, because the handler of Swagger
// UI writes plain text.
func notFoundAsProblem(next http.Handler, errs errorWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&notFoundWriter{ResponseWriter: w, write: func() { errs.notFound(w, r) }}, r)
	})
}

type notFoundWriter struct {
	http.ResponseWriter
	write    func()
	replaced bool
}

func (w *notFoundWriter) WriteHeader(status int) {
	if status == http.StatusNotFound {
		w.replaced = true
		w.write()
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *notFoundWriter) Write(b []byte) (int, error) {
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
