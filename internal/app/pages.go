package app

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"punctual/gen/db"
	"punctual/internal/sessions"
	"punctual/ui"
)

// PagesConfig says how people reach the dashboard, and how they sign in.
type PagesConfig struct {
	OIDCClientID          string   `name:"oidc-client-id" help:"The id under which OIDC_ISSUER knows the dashboard, so that people can sign in with their accounts." env:"OIDC_CLIENT_ID"`
	OIDCClientSecret      string   `name:"oidc-client-secret" help:"The secret of that client, if it has one. Set the environment variable rather than the flag." env:"OIDC_CLIENT_SECRET"`
	OIDCScopes            []string `name:"oidc-scopes" help:"Scopes to ask the issuer for, besides openid." env:"OIDC_SCOPES"`
	OIDCAudienceParameter string   `name:"oidc-audience-parameter" help:"The parameter by which the issuer is told that the token is for OIDC_AUDIENCE: resource, audience or none." enum:",resource,audience,none" default:"" env:"OIDC_AUDIENCE_PARAMETER"`

	PublicURL       string        `name:"public-url" help:"The URL at which browsers reach the dashboard, if a proxy changes the Host header or ends TLS without X-Forwarded-Proto." env:"PUBLIC_URL"`
	SessionLifetime time.Duration `help:"How long somebody stays signed in to the dashboard." default:"12h" env:"SESSION_LIFETIME"`

	TraceURLTemplate string `name:"trace-url-template" help:"The URL at which people see a trace, with {traceId} where its id belongs. The page of a run then links its trace." env:"TRACE_URL_TEMPLATE"`
}

// validate returns an error that names each value that is not allowed.
func (c PagesConfig) validate(issuer string) error {
	var errs []error
	if issuer == "" && c.OIDCClientID != "" {
		errs = append(errs, errors.New("OIDC_ISSUER is required with OIDC_CLIENT_ID"))
	}
	if c.OIDCClientID == "" && (c.OIDCClientSecret != "" || len(c.OIDCScopes) > 0) {
		errs = append(errs, errors.New("OIDC_CLIENT_ID is required with OIDC_CLIENT_SECRET and OIDC_SCOPES"))
	}
	if c.SessionLifetime < 0 {
		errs = append(errs, errors.New("SESSION_LIFETIME must not be negative"))
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" &&
		(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "") {
		errs = append(errs, errors.New("PUBLIC_URL must be a URL without a path, such as https://punctual.example.com"))
	}
	if u, err := url.Parse(c.TraceURLTemplate); c.TraceURLTemplate != "" &&
		(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || !strings.Contains(c.TraceURLTemplate, ui.TraceIDPlace)) {
		errs = append(errs, errors.New("TRACE_URL_TEMPLATE must be a URL with {traceId}, such as https://tempo.example.com/trace/{traceId}"))
	}
	return errors.Join(errs...)
}

// newPages returns the dashboard. It is an api.NewPages.
func (a *App) newPages(toAPI http.RoundTripper, unknown http.HandlerFunc) (http.Handler, error) {
	c := ui.Config{
		API: toAPI, Unknown: unknown, Logger: a.log, Version: Version(), SessionLifetime: a.config.Pages.SessionLifetime, PublicURL: a.config.Pages.PublicURL,
		TraceURLTemplate: a.config.Pages.TraceURLTemplate,
	}
	if a.config.needsAuth() {
		c.Sessions = sessions.New(db.New(a.pools.access))
		c.Provider = ui.Provider{
			Issuer: a.config.OIDCIssuer, Audience: a.config.OIDCAudience, ClientID: a.config.Pages.OIDCClientID,
			ClientSecret: a.config.Pages.OIDCClientSecret, Scopes: a.config.Pages.OIDCScopes,
			AudienceParameter: cmp.Or(a.config.Pages.OIDCAudienceParameter, "resource"),
		}
		if c.Provider.AudienceParameter == "none" {
			c.Provider.AudienceParameter = ""
		}
	}
	return ui.New(c)
}
