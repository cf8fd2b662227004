package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"punctual/internal/inprocess"
)

// ownPaths are where the API answers, and what is below them; everything else may be a page.
var ownPaths = []string{"/api", "/docs", "/livez", "/readyz", "/metrics", "/.well-known"}

// isOwn reports whether a path is the API's, although there may be nothing.
func isOwn(path string) bool {
	return strings.HasPrefix(path, "/openapi.") ||
		slices.ContainsFunc(ownPaths, func(own string) bool { return path == own || strings.HasPrefix(path, own+"/") })
}

// mountPages serves pages at all paths that are not the API's.
func mountPages(root *chi.Mux, newPages func(http.RoundTripper) (http.Handler, error), errs errorWriter) error {
	if newPages == nil {
		return nil
	}
	pages, err := newPages(inprocess.Transport{Handler: root})
	if err != nil {
		return err
	}
	root.NotFound(func(w http.ResponseWriter, r *http.Request) {
		if isOwn(r.URL.Path) {
			errs.notFound(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
	return nil
}
