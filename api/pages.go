package api

import (
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"punctual/internal/inprocess"
)

// ownPaths are where the API answers, and what is below them; everything else may be a page.
var ownPaths = []string{"/api", "/docs", "/livez", "/readyz", "/metrics", "/.well-known"}

// isOwn reports whether a path is the API's, although there may be nothing. It is taken as it was
// meant: a client that writes //API/v1 gets a problem and no page.
func isOwn(asked string) bool {
	asked = strings.ToLower(path.Clean(asked))
	return strings.HasPrefix(asked, "/openapi.") ||
		slices.ContainsFunc(ownPaths, func(own string) bool { return asked == own || strings.HasPrefix(asked, own+"/") })
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
