package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// People sign in with their accounts at a real provider. What they may do comes from their groups,
// and their session lasts longer than their first token.
func TestSignInByProvider(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	db := connect(t, url)
	// Each token is replaced before it is half as old as the page wants it to be.
	p := startProvider(t, "TOKEN_SECONDS=20")
	config := withTokens(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}, p.Issuer)
	config.Pages = app.PagesConfig{OIDCClientID: "dashboard", OIDCClientSecret: providerClients["dashboard"].Secret}
	service := start(t, config)
	_, operator := makeKey(t, db, "default", keys.Request{IsServiceWide: true})
	service.as(t, operator).namespace(t, client.NamespaceCreate{Name: "payments"})

	b := openTab(t, service)
	b.elsewhere = p.Issuer
	b.expected = []string{"404"} // the provider has no icon
	signIn := func(name string) {
		b.open("/")
		b.reads("h1", "Sign in")
		b.click(`a[href^="/sign-in/provider"]`)
		b.do(chromedp.WaitVisible(chromedp.CSS("#login")))
		b.fill("#login", name)
		b.press("\r")
	}
	signOut := func() {
		eval[any](b, `document.querySelector('form[action="/sign-out"]').requestSubmit()`)
		b.reads("#notice", "signed out")
	}
	signIn("paula")
	b.reads(".who", "payments")
	require.Contains(t, eval[string](b, "document.body.textContent"), "user:paula")
	for range 3 { // each time with another token
		b.open("/")
		b.reads(".who", "payments")
	}
	eval[any](b, `Promise.all([...Array(8)].map(() => fetch("/"))).then((all) => {
		if (all.some((answer) => answer.redirected)) throw new Error("signed out")
	})`)
	signOut()

	// The provider knows who is there.
	b.open("/")
	b.reads("h1", "Sign in")
	b.click(`a[href^="/sign-in/provider"]`)
	b.reads(".who", "payments")
	signOut()

	// Until they sign out there, too.
	b.click(`a[href^="` + p.Issuer + `"]`)
	b.do(chromedp.WaitVisible(chromedp.CSS(`button[name="logout"]`)))
	b.click(`button[name="logout"]`)
	b.reads("h1", "Sign in")
	signIn("rita")
	b.reads(".who", "payments")
	require.Contains(t, eval[string](b, "document.body.textContent"), "user:rita")
}

// Who has an account and no grant is told so.
func TestSignInByProvider_withoutGrants(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	p := startProvider(t)
	config := withTokens(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}, p.Issuer)
	config.Pages = app.PagesConfig{OIDCClientID: "dashboard", OIDCClientSecret: providerClients["dashboard"].Secret}
	service := start(t, config)
	b := openTab(t, service)
	b.elsewhere = p.Issuer
	b.expected = []string{"404", "403", "400"}
	b.open("/sign-in/returned?state=made-up&code=made-up")
	b.reads("main", "attempt to sign in is over")
	b.do(chromedp.Navigate(b.url + "/sign-in/provider"))
	b.do(chromedp.WaitVisible(chromedp.CSS("#login")))
	b.fill("#login", "steve")
	b.press("\r")
	b.reads("main", "scope-required")
	b.click(`form[action="/sign-out"] button`)
	b.reads("#notice", "signed out")
}

// Who has rights in several namespaces, and none in the usual one, chooses where to be.
func TestSignInByProvider_severalNamespaces(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	db := connect(t, url)
	p := startProvider(t)
	config := withTokens(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}, p.Issuer)
	config.Pages = app.PagesConfig{OIDCClientID: "dashboard", OIDCClientSecret: providerClients["dashboard"].Secret}
	service := start(t, config)
	_, operator := makeKey(t, db, "default", keys.Request{IsServiceWide: true})
	for _, name := range []string{"payments", "billing"} {
		service.as(t, operator).namespace(t, client.NamespaceCreate{Name: name})
	}
	b := openTab(t, service)
	b.elsewhere = p.Issuer
	b.expected = []string{"404", "403"}
	b.open("/sign-in")
	b.click(`a[href^="/sign-in/provider"]`)
	b.do(chromedp.WaitVisible(chromedp.CSS("#login")))
	b.fill("#login", "nora")
	b.press("\r")
	b.reads("main", "rights in another namespace")
	b.fill("#namespace", "billing")
	b.press("\r")
	b.reads(".who", "billing")
	b.do(clickSummary("billing"))
	b.fill("#namespace", "payments")
	b.press("\r")
	b.reads(".who", "payments")
}
