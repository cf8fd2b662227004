package api

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// answerHead answers HEAD as GET. The HTTP server itself leaves the body out.
func answerHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(r.Context()) // a copy: the server has to see the method of the original
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// allowed returns the methods of a path, as the header Allow lists them. It is empty if there is
// nothing at the path.
func allowed(r *http.Request) string {
	var methods []string
	routes := chi.RouteContext(r.Context()).Routes
	path := cmp.Or(r.URL.RawPath, r.URL.Path) // as chi matches it
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if routes.Match(chi.NewRouteContext(), method, path) {
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
