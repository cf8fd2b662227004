package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Values of headers that are shared by all answers. net/http does not change them.
var (
	noSniff  = []string{"nosniff"}
	noStore  = []string{"no-store"}
	noFrames = []string{"DENY"}
	// strictPolicy is for answers that are not pages: a browser that shows one loads nothing for
	// it.
	strictPolicy = []string{"default-src 'none'; frame-ancestors 'none'"}
	// sameOrigin keeps ids in paths from other sites.
	sameOrigin = []string{"same-origin"}
)

// secureHeaders tells browsers and caches how to treat answers: the API's are not to be stored, and
// none is to be shown in a frame, or as another type than its own.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Cache-Control"] = noStore
		h["X-Content-Type-Options"] = noSniff
		h["X-Frame-Options"] = noFrames
		h["Referrer-Policy"] = sameOrigin
		h["Content-Security-Policy"] = strictPolicy
		next.ServeHTTP(w, r)
	})
}

// inline matches the scripts and styles that stand in a page itself.
var inline = regexp.MustCompile(`(?s)<(script|style)>(.*?)</(?:script|style)>`)

// pageHeaders gives a page, and what belongs to it, the policy that it needs: everything from this
// service, and no scripts and styles in the page except for those that it has now. index is the
// path of the page.
func pageHeaders(page http.Handler, index string) http.Handler {
	var shown pageWriter
	page.ServeHTTP(&shown, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: index}})
	hashes := map[string][]string{"script": {"'self'"}, "style": {"'self'"}}
	for _, match := range inline.FindAllStringSubmatch(shown.String(), -1) {
		sum := sha256.Sum256([]byte(match[2]))
		hashes[match[1]] = append(hashes[match[1]], "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	policy := []string{fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; img-src 'self' data:; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", strings.Join(hashes["script"], " "), strings.Join(hashes["style"], " "))}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Security-Policy"] = policy
		w.Header().Del("Cache-Control") // the same for everybody
		page.ServeHTTP(w, r)
	})
}

// pageWriter keeps the body of an answer.
type pageWriter struct{ bytes.Buffer }

func (*pageWriter) Header() http.Header { return http.Header{} }
func (*pageWriter) WriteHeader(int)     {}
