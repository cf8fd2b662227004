package ui

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

// What a session has: a key, or the tokens of a provider.
const (
	sessionKey          = "key"
	sessionToken        = "token"
	sessionRefreshToken = "refreshToken"
	sessionTokenExpiry  = "tokenExpiry"
)

// sessions has the managers of sessions by whether their cookies need TLS.
type sessions map[bool]*scs.SessionManager

// newSessions returns the managers of sessions, or nil if nobody has to sign in.
func (d *dashboard) newSessions() sessions {
	if d.Sessions == nil {
		return nil
	}
	all := sessions{}
	for _, isSecure := range []bool{false, true} {
		m := scs.New()
		m.Store, m.Lifetime, m.ErrorFunc = d.Sessions, d.SessionLifetime, d.sessionFailed
		m.Cookie = scs.SessionCookie{
			Name: cookieName("punctual-session", isSecure), HttpOnly: true, Path: "/", Persist: true, SameSite: http.SameSiteLaxMode, Secure: isSecure,
		}
		all[isSecure] = m
	}
	return all
}

// cookieName returns the name of a cookie. With TLS its prefix makes browsers refuse one that
// another service of the same domain has set.
func cookieName(name string, isSecure bool) string {
	if isSecure {
		return "__Host-" + name
	}
	return name
}

// sessionFailed answers a request whose session cannot be read or stored.
func (d *dashboard) sessionFailed(w http.ResponseWriter, r *http.Request, err error) {
	d.Logger.ErrorContext(r.Context(), "session not read or stored", "error", err)
	p := d.newPage(w, r)
	p.fail(refusal(http.StatusServiceUnavailable, "session-unavailable", "Nobody can be recognized at the moment. Try again."))
}

// load gives a request its session.
func (d *dashboard) load(next http.Handler) http.Handler {
	if d.sessions == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.sessions[d.isSecure(r)].LoadAndSave(next).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), loaded{}, true)))
	})
}

// loaded marks the context of a request that has its session.
type loaded struct{}

// has reports whether the session of the request has a value.
func (p *page) has(name string) bool {
	return p.session() != nil && p.Context().Value(loaded{}) != nil && p.session().GetString(p.Context(), name) != ""
}

// session is the session of the request, or nil if nobody has to sign in.
func (p *page) session() *scs.SessionManager {
	return p.dashboard.sessions[p.dashboard.isSecure(p.Request)]
}

// isSecure reports whether a browser reaches the service by TLS, which a proxy may end.
func (d *dashboard) isSecure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" || strings.HasPrefix(d.PublicURL, "https:")
}

// credentials returns what the API is to get, which is empty if nobody is signed in.
func (p *page) credentials(ctx context.Context) (string, error) {
	if p.session() == nil {
		return "", nil
	}
	if key := p.session().GetString(ctx, sessionKey); key != "" {
		return key, nil
	}
	return p.accessToken(ctx)
}

// begin begins a session with what it has. Its token is a new one, so that nobody knows it who was
// here before.
func (p *page) begin(values map[string]string, expiry time.Time) error {
	s := p.session()
	if err := s.Clear(p.Context()); err != nil {
		return err
	}
	if err := s.RenewToken(p.Context()); err != nil {
		return err
	}
	for name, value := range values {
		s.Put(p.Context(), name, value)
	}
	if !expiry.IsZero() {
		s.Put(p.Context(), sessionTokenExpiry, expiry.Unix())
	}
	return nil
}

// signIn leads to the page at which people sign in, and then back to this one.
func (p *page) signIn() error {
	to := "/sign-in?back=" + url.QueryEscape(p.returnPath())
	if p.isPart() {
		p.w.Header().Set("HX-Redirect", to)
		p.w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	return p.redirect(to)
}

// returnPath is the page to return to after signing in.
func (p *page) returnPath() string {
	if p.Method != http.MethodGet {
		return localPath(p.PostFormValue("back"))
	}
	if current, err := url.Parse(p.Header.Get("HX-Current-URL")); p.isPart() && err == nil {
		return localPath(current.RequestURI())
	}
	return p.path()
}

// isPart reports whether a script asks for a part of a page.
func (p *page) isPart() bool { return p.Header.Get("HX-Request") == "true" }
