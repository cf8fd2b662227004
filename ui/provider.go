package ui

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// Provider says how people sign in with an account of an OpenID Connect provider. Their access
// token is what the API gets.
type Provider struct {
	Issuer, ClientID, ClientSecret string
	// Scopes are asked for besides openid. With offline_access, most providers give a token that
	// makes the session last.
	Scopes []string
	// Audience is what access tokens are for, and AudienceParameter the parameter by which the
	// provider is told, or empty.
	Audience, AudienceParameter string
}

const (
	// providerWithin is how long the provider may take to answer.
	providerWithin = 10 * time.Second
	// askAgainAfter is for how long an issuer is left alone that did not answer.
	askAgainAfter = 5 * time.Second
	// refreshBefore is how long before its end a token is replaced.
	refreshBefore = 30 * time.Second
	// signInWithin is how long somebody may take to sign in, in seconds.
	signInWithin = 600
)

// provider signs people in. It asks the issuer for its endpoints when somebody signs in first, so
// that the service starts without it.
type provider struct {
	Provider
	client    *http.Client
	refreshes singleflight.Group
	mu        sync.Mutex
	known     *oidc.Provider
	// failure is why its endpoints were not found, and failedAt when.
	failure  error
	failedAt time.Time
}

func newProvider(c Provider) *provider {
	if c.Issuer == "" || c.ClientID == "" {
		return nil
	}
	return &provider{Provider: c, client: &http.Client{Timeout: providerWithin}}
}

// attempt is what has to fit when somebody returns from the provider.
type attempt struct{ State, Nonce, Verifier, Back string }

// endpoints finds out where the issuer's endpoints are.
func (v *provider) endpoints() (*oidc.Provider, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failure != nil && time.Since(v.failedAt) < askAgainAfter {
		return nil, v.failure
	}
	if v.known == nil {
		// Its keys are read later, so its context has no end.
		known, err := oidc.NewProvider(oidc.ClientContext(context.Background(), v.client), v.Issuer)
		if err != nil {
			v.failure, v.failedAt = fmt.Errorf("ask the issuer for its endpoints: %w", err), time.Now()
			return nil, v.failure
		}
		v.known, v.failure = known, nil
	}
	return v.known, nil
}

// config is that of OAuth for a request. The provider leads back to the name by which the browser
// reaches the service.
func (p *page) oauth() (*oauth2.Config, error) {
	v := p.dashboard.provider
	if v == nil {
		return nil, refusal(http.StatusNotFound, "path-not-found", "There is no identity provider.")
	}
	known, err := v.endpoints()
	if err != nil {
		return nil, p.providerFailed(err)
	}
	return &oauth2.Config{
		ClientID: v.ClientID, ClientSecret: v.ClientSecret, Endpoint: known.Endpoint(),
		RedirectURL: p.publicURL("/sign-in/returned"), Scopes: append([]string{oidc.ScopeOpenID}, v.Scopes...),
	}, nil
}

// publicURL is the URL by which the browser reaches a path.
func (p *page) publicURL(path string) string {
	scheme := "http://"
	if p.dashboard.isSecure(p.Request) {
		scheme = "https://"
	}
	return strings.TrimSuffix(cmp.Or(p.dashboard.PublicURL, scheme+p.Host), "/") + path
}

// endOfSession is where somebody signs out of the provider, too, and then returns. It is empty if
// the provider has no such page, or cannot be asked.
func (p *page) endOfSession() string {
	v := p.dashboard.provider
	if v == nil {
		return ""
	}
	known, err := v.endpoints()
	if err != nil {
		return ""
	}
	var has struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if known.Claims(&has) != nil || has.EndSession == "" {
		return ""
	}
	at, err := url.Parse(has.EndSession)
	if err != nil {
		return ""
	}
	query := at.Query()
	query.Set("client_id", v.ClientID)
	query.Set("post_logout_redirect_uri", p.publicURL("/sign-in"))
	at.RawQuery = query.Encode()
	return at.String()
}

// providerFailed logs why the provider is of no help, and tells people less.
func (p *page) providerFailed(err error) error {
	p.dashboard.Logger.WarnContext(p.Context(), "nobody can sign in with the identity provider", "error", err)
	return refusal(http.StatusBadGateway, "issuer-unavailable", "The identity provider did not let you in. The log of the service says why. Sign in again.")
}

// audience tells the provider what the token is for.
func (v *provider) audience() []oauth2.AuthCodeOption {
	if v.AudienceParameter == "" {
		return nil
	}
	return []oauth2.AuthCodeOption{oauth2.SetAuthURLParam(v.AudienceParameter, v.Audience)}
}

// goToProvider leads to the page of the provider.
func goToProvider(p *page) error {
	config, err := p.oauth()
	if err != nil {
		return err
	}
	a := attempt{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Back: localPath(p.URL.Query().Get("back")),
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	p.setAttempt(url.QueryEscape(string(text)), signInWithin)
	options := append(p.dashboard.provider.audience(), oauth2.S256ChallengeOption(a.Verifier), oidc.Nonce(a.Nonce))
	return p.redirect(config.AuthCodeURL(a.State, options...))
}

// attemptCookie is the name of the cookie that has what is known of an attempt to sign in.
func (p *page) attemptCookie() string {
	return cookieName("punctual-sign-in", p.dashboard.isSecure(p.Request))
}

func (p *page) setAttempt(value string, maxAge int) {
	http.SetCookie(p.w, &http.Cookie{ //nolint:gosec // without TLS it has to work, too
		Name: p.attemptCookie(), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: p.dashboard.isSecure(p.Request),
	})
}

// returnFromProvider begins a session with the tokens that the provider gives for its code.
func returnFromProvider(p *page) error {
	config, err := p.oauth()
	if err != nil {
		return err
	}
	var a attempt
	if cookie, err := p.Cookie(p.attemptCookie()); err == nil {
		text, _ := url.QueryUnescape(cookie.Value)
		_ = json.Unmarshal([]byte(text), &a) // what cannot be read does not fit
	}
	p.setAttempt("", -1)
	query := p.URL.Query()
	switch {
	case a.State == "" || query.Get("state") != a.State:
		return refusal(http.StatusBadRequest, "invalid-request", "This attempt to sign in is over. Sign in again.")
	case query.Get("error") != "":
		return p.providerFailed(fmt.Errorf("it answered %s: %s", query.Get("error"), query.Get("error_description")))
	}
	ctx := oidc.ClientContext(p.Context(), p.dashboard.provider.client)
	tokens, err := config.Exchange(ctx, query.Get("code"), append(p.dashboard.provider.audience(), oauth2.VerifierOption(a.Verifier))...)
	if err != nil {
		return p.providerFailed(err)
	}
	if err := p.dashboard.provider.check(ctx, tokens, a.Nonce); err != nil {
		return p.providerFailed(err)
	}
	p.trying = tokens.AccessToken
	if err := p.try(); isRefusedWith(err, http.StatusUnauthorized) {
		return p.providerFailed(fmt.Errorf("the API does not accept its access token: %w", err))
	} else if err != nil && !answers.IsRefused(err, "scope-required") && !answers.IsRefused(err, "namespace-not-found") { // a page will say what is missing
		return err
	}
	err = p.begin(map[string]string{sessionToken: tokens.AccessToken, sessionRefreshToken: tokens.RefreshToken}, tokens.Expiry)
	if err != nil {
		return err
	}
	return p.redirect(localPath(a.Back))
}

// check verifies that the tokens are those of the attempt.
func (v *provider) check(ctx context.Context, tokens *oauth2.Token, nonce string) error {
	known, err := v.endpoints()
	if err != nil {
		return err
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := known.Verifier(&oidc.Config{ClientID: v.ClientID}).Verify(ctx, raw)
	if err != nil {
		return fmt.Errorf("its ID token is not valid: %w", err)
	}
	if id.Nonce != nonce {
		return errors.New("its ID token is of another attempt to sign in")
	}
	return nil
}

// refusal is an error that is shown as a page.
func refusal(status int, code, detail string) error {
	return &answers.Refused{Problem: client.Problem{
		Status: int32(status), Code: code, Title: http.StatusText(status), Detail: detail,
	}}
}
