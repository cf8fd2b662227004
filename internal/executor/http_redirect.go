package executor

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxRedirects is how many redirects are followed in a row.
const maxRedirects = 5

var (
	errTooManyRedirects = fmt.Errorf("there were more than %d redirects", maxRedirects)
	errLocation         = errors.New("the redirect does not lead to a valid URL")
)

// isToFollow reports whether an answer is a redirect that the target says to follow. A 303 says
// that the request was executed, and that its result is elsewhere: only a request that reads may be
// sent there.
func (d *httpDefinition) isToFollow(resp *http.Response) bool {
	if !d.FollowRedirects || slices.Contains(d.ExpectStatus, resp.StatusCode) || resp.Header.Get("Location") == "" {
		return false
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	case http.StatusSeeOther:
		return d.Method == http.MethodGet || d.Method == http.MethodHead
	default:
		return false
	}
}

// follow returns the same request to another URL. Once that has another scheme, host or port, the
// request has no secrets and no signature, whatever further redirects lead to: a stranger has
// chosen the URL.
func (x *exchange) follow(before *http.Request, location string) (*http.Request, error) {
	to, err := before.URL.Parse(location)
	if err != nil {
		return nil, &Failure{Err: errLocation}
	}
	to.Fragment = ""
	after := before.Clone(before.Context())
	after.URL, after.Host = to, ""
	if after.Body, err = before.GetBody(); err != nil {
		return nil, fmt.Errorf("send the body again: %w", err)
	}
	if origin(to) != origin(before.URL) {
		x.hasLeft = true
		for name := range x.secrets.Headers {
			after.Header.Del(name)
		}
		for _, name := range []string{
			standardwebhooks.HeaderWebhookID, standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature,
		} {
			after.Header.Del(name)
		}
	}
	return after, nil
}

// origin returns the scheme, the host and the port of a URL.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
