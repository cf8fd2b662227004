package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// Somebody signs in with a key, sees what the key may see, on any instance, and signs out.
func TestSignInByKey(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	service, another, db := startWithKeys(t, url), startWithKeys(t, url), connect(t, url)
	_, reader := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.JobsRead}})
	_, operator := makeKey(t, db, "default", keys.Request{IsServiceWide: true})
	service.as(t, operator).namespace(t, client.NamespaceCreate{Name: "payments"})

	b := openTab(t, service)
	b.expected = []string{"401"}
	b.open("/instances?a=b")
	b.reads("h1", "Sign in")
	require.Equal(t, "/sign-in?back=%2Finstances%3Fa%3Db", b.path())
	require.NotContains(t, b.text("header"), "Instances", "nothing is shown to strangers")
	b.fill("#key", "pk_no_such_key")
	b.press("\r")
	b.reads(".error", "no valid key")
	b.fill("#key", operator)
	b.press("\r")
	b.reads("h1", "Instances")
	require.Equal(t, "/instances?a=b", b.path(), "the page that was asked for")

	b.do(clickSummary("default"))
	b.fill("#namespace", "payments")
	b.until(`[...document.querySelectorAll("#namespace-choices option")].map((o) => o.value).join() === "default,payments"`, "the namespaces are offered")
	b.press("\r")
	b.reads(".who", "payments")
	b.do(clickSummary("payments"))
	b.fill("#namespace", "nowhere")
	b.press("\r")
	b.reads("#notice", "no namespace nowhere")
	b.reads(".who", "default")

	b.url, b.elsewhere = another.url, another.url // cookies do not know ports
	b.open("/instances")
	b.reads("h1", "Instances")
	b.do(clickSummary("default"))
	b.click(`form[action="/sign-out"] button`)
	b.reads("#notice", "signed out")
	b.url = service.url
	b.open("/")
	b.reads("h1", "Sign in")

	b.fill("#key", reader)
	b.press("\r")
	b.reads("h1", "Home")
	require.NotContains(t, b.text("nav"), "Instances", "they are for callers who are bound to no namespace")
}

// A session has an end, its cookie is out of reach for scripts, and a new one begins with signing
// in.
func TestSession(t *testing.T) {
	t.Parallel()
	const lifetime = 2 * time.Second
	database := testdb.New(t)
	service := start(t, app.Config{
		Role: app.RoleAPI, Auth: app.AuthRequired, Database: app.DatabaseConfig{URL: database},
		Pages: app.PagesConfig{SessionLifetime: lifetime, PublicURL: "https://punctual.test"},
	})
	db := connect(t, database)
	_, key := makeKey(t, db, "default", keys.Request{})
	answer := sendForm(t, nil, service.url+"/sign-in", url.Values{"key": {key}, "back": {"https://evil.test/"}}) //nolint:bodyclose // it is closed
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	require.Equal(t, "/", answer.Header.Get("Location"))
	var session *http.Cookie
	for _, cookie := range answer.Cookies() {
		if cookie.Name == "__Host-punctual-session" {
			session = cookie
		}
	}
	require.NotNil(t, session)
	assert.True(t, session.HttpOnly)
	assert.True(t, session.Secure)
	assert.Equal(t, http.SameSiteLaxMode, session.SameSite)
	get := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.url+"/", nil)
		require.NoError(t, err)
		request.AddCookie(session)
		answer, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	require.Equal(t, http.StatusOK, get())
	require.Eventually(t, func() bool { return get() == http.StatusSeeOther }, 10*time.Second, 100*time.Millisecond, "it has an end")
	var sealed int
	require.NoError(t, db.QueryRow(t.Context(), "select count(*) from sessions where encode(sealed, 'escape') like '%' || $1 || '%'", key).Scan(&sealed))
	require.Zero(t, sealed)
}

// A key that is revoked ends its sessions.
func TestSession_ofARevokedKey(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	id, key := makeKey(t, db, "default", keys.Request{})
	_, other := makeKey(t, db, "default", keys.Request{})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	signedIn := sendForm(t, browser, service.url+"/sign-in", url.Values{"key": {key}}) //nolint:bodyclose // it is closed
	require.Equal(t, http.StatusOK, signedIn.StatusCode)
	revoked, err := service.as(t, other).RevokeKeyWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, revoked.StatusCode())
	require.Eventually(t, func() bool {
		answer, err := browser.Get(service.url + "/")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return strings.HasPrefix(answer.Request.URL.Path, "/sign-in")
	}, patience, 20*time.Millisecond)
}

// sendForm sends a form as a browser does, which by default follows no redirect.
func sendForm(t *testing.T, browser *http.Client, to string, form url.Values) *http.Response {
	t.Helper()
	if browser == nil {
		browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	answer, err := browser.PostForm(to, form)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer
}
