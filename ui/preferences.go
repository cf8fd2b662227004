package ui

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// The themes, and the zones in which times are shown. The first of each is the default.
var (
	themes = []option{{"", "As the system"}, {"light", "Light"}, {"dark", "Dark"}}
	zones  = []option{{"", "Of this browser"}, {"job", "Of the job"}, {"utc", "UTC"}}
)

// option is a value that can be chosen, and how it is called.
type option struct{ value, label string }

// preferences are how somebody wants to see pages. They are in cookies.
type preferences struct {
	theme, zone, namespace string
	// browser is the zone of the browser, which a script has put into a cookie.
	browser *time.Location
}

// preferenceCookies are the names of the cookies, which forms use for their fields, too.
const (
	themeCookie, zoneCookie = "theme", "zone"
	namespaceCookie         = "namespace"
	browserZoneCookie       = "browser-zone"
	preferencesKept         = 365 * 24 * 60 * 60 // seconds
)

func preferencesOf(r *http.Request) (p preferences) {
	read := func(name string) string {
		cookie, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		value, _ := url.QueryUnescape(cookie.Value)
		return value
	}
	p.theme, p.zone, p.namespace = choice(themes, read(themeCookie)), choice(zones, read(zoneCookie)), read(namespaceCookie)
	p.browser = locationOf(read(browserZoneCookie))
	return p
}

// choice returns a value if it is one of the options, or else the default.
func choice(options []option, value string) string {
	if slices.ContainsFunc(options, func(o option) bool { return o.value == value }) {
		return value
	}
	return ""
}

// locationOf returns the zone of a name, or nil.
func locationOf(name string) *time.Location {
	if name == "" || name == "Local" {
		return nil
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return location
}

// savePreferences takes the form of the header.
func savePreferences(p *page) error {
	if err := p.ParseForm(); err != nil {
		return badForm(err)
	}
	for _, name := range []string{themeCookie, zoneCookie, namespaceCookie} {
		if values, isGiven := p.PostForm[name]; isGiven {
			p.setCookie(name, values[0], preferencesKept)
		}
	}
	return p.back()
}

// setCookie sets a cookie that scripts may read. An empty one is deleted.
func (p *page) setCookie(name, value string, maxAge int) {
	if value == "" {
		maxAge = -1
	}
	http.SetCookie(p.w, &http.Cookie{ //nolint:gosec // it is no secret, and without TLS it has to work, too
		Name: name, Value: url.QueryEscape(value), Path: "/", MaxAge: maxAge, SameSite: http.SameSiteLaxMode, Secure: p.dashboard.isSecure(p.Request),
	})
}
