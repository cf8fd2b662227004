package ui

import "net/http"

// policy lets a page use what this service serves, and nothing that stands in the page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pageHeaders tells browsers how to treat pages: they show what one caller may see.
func pageHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// refuseCrossOrigin refuses forms that a page of another origin sends with the cookies of ours.
func (d *dashboard) refuseCrossOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(d.serveOpen(func(*page) error {
		return refusal(http.StatusForbidden, "cross-origin", "The request comes from a page of another site. Nothing has changed.")
	}))
	return protection.Handler(next)
}
