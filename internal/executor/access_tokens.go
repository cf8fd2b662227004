package executor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"punctual/internal/outbound"
)

const (
	// tokenWithin is how long the endpoint for tokens may take. It serves all runs that wait for
	// the token, so none of them ends it.
	tokenWithin = 10 * time.Second
	// replaceAfter is how old a token has to be that is replaced although it was never accepted.
	// Otherwise a receiver that refuses everything would cost two requests for each attempt.
	replaceAfter = time.Minute
)

// tokenErrors are the codes of errors of the endpoint for tokens (RFC 6749, 5.2), which can be
// quoted.
var tokenErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"invalid_target",
}

// accessTokens gets the access tokens of one connection, and keeps the one that is valid.
type accessTokens struct {
	config  clientcredentials.Config
	client  *http.Client
	fetches singleflight.Group

	mu      sync.Mutex
	current *oauth2.Token
	gotAt   time.Time
	// isAccepted is whether the receiver has accepted the current token.
	isAccepted bool
}

func (c *caller) newAccessTokens() *accessTokens {
	auth := &c.connection.Auth
	t := &accessTokens{config: clientcredentials.Config{
		ClientID: auth.ClientID, ClientSecret: auth.ClientSecret, TokenURL: auth.TokenURL, Scopes: auth.Scopes,
	}}
	if auth.Audience != "" {
		t.config.EndpointParams = url.Values{"audience": {auth.Audience}}
	}
	client := c.elsewhere
	if isSameOrigin(auth.TokenURL, c.connection.BaseURL) {
		client = c.home
	}
	t.client = &http.Client{
		Transport:     client,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t
}

func isSameOrigin(a, b string) bool {
	first, err := url.Parse(a)
	if err != nil {
		return false
	}
	second, err := url.Parse(b)
	return err == nil && origin(first) == origin(second)
}

// get returns a token that is valid for some seconds at least.
func (t *accessTokens) get(ctx context.Context) (*oauth2.Token, error) {
	if kept := t.kept(); kept != nil {
		return kept, nil
	}
	fetched := t.fetches.DoChan("", func() (any, error) {
		if kept := t.kept(); kept != nil {
			return kept, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenWithin)
		defer cancel()
		token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.current, t.gotAt, t.isAccepted = token, time.Now(), false
		return token, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-fetched:
		if got.Err != nil {
			return nil, got.Err
		}
		return got.Val.(*oauth2.Token), nil //nolint:forcetypeassert // the function returns it
	}
}

// kept returns the token that is kept, or nil if it is not valid for some seconds.
func (t *accessTokens) kept() *oauth2.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Valid() {
		return t.current
	}
	return nil
}

// worked says that the receiver has accepted a token.
func (t *accessTokens) worked(token *oauth2.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == token {
		t.isAccepted = true
	}
}

// refused says that the receiver has refused a token. It reports whether another one may help: the
// token was accepted before, or it is old.
func (t *accessTokens) refused(token *oauth2.Token) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != token {
		return true // somebody else has replaced it
	}
	if !t.isAccepted && time.Since(t.gotAt) < replaceAfter {
		return false
	}
	t.current = nil
	return true
}

// describeToken returns why there is no access token. It quotes nothing that the endpoint has
// written except the codes of errors that it may use.
func (x *exchange) describeToken(ctx context.Context, err error) *Failure {
	failure := &Failure{IsUnreachable: true}
	text := "the answer for it has none"
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response != nil {
		status := answer.Response.StatusCode
		text = strings.TrimSpace(fmt.Sprintf("its endpoint answered %d %s", status, http.StatusText(status)))
		if slices.Contains(tokenErrors, answer.ErrorCode) {
			text += " (" + answer.ErrorCode + ")"
		}
		failure.RetryAfter = retryAfter(answer.Response.Header.Get("Retry-After"), time.Now())
		failure.IsUnreachable = status >= http.StatusInternalServerError
	} else if failed, ok := errors.AsType[*url.Error](err); ok {
		text = describeHTTP(ctx, failed.Err, x.hide).Error()
		_, isRefused := errors.AsType[*outbound.RefusedError](failed.Err)
		failure.IsUnreachable = !isRefused
	} else if ctx.Err() != nil {
		text = describeHTTP(ctx, err, x.hide).Error()
	}
	failure.Err = errors.New("no access token: " + text)
	return failure
}
