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

// NewPages makes the handler of all paths that are not the API's. It asks the API through a
// transport, with the credentials of its callers. Paths that it does not know are for unknown,
// unless a browser asks for a page.
type NewPages func(api http.RoundTripper, unknown http.HandlerFunc) (http.Handler, error)

// mountPages serves pages at all paths that are not the API's.
func mountPages(root *chi.Mux, newPages NewPages, errs errorWriter) error {
	if newPages == nil {
		return nil
	}
	pages, err := newPages(inprocess.Transport{Handler: root}, errs.notFound)
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
