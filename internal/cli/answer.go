package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"punctual/internal/answers"
)

// refused is a problem that the service has answered with, and what to do about it at the command
// line.
type refused struct{ *answers.Refused }

// Error returns the problem as a sentence, and the fields that are wrong, one a line.
func (e *refused) Error() string {
	text := e.Refused.Error()
	if hint := hints[e.Code]; hint != "" {
		text += "\n  " + hint
	}
	if e.Status >= http.StatusInternalServerError && e.RequestId != nil {
		text += "\n  request: " + *e.RequestId
	}
	return text
}

// Unwrap returns the problem.
func (e *refused) Unwrap() error { return e.Refused }

// hints say what to do about a problem at the command line.
var hints = map[string]string{ //nolint:gosec // no credentials, but where they go
	"path-not-found":        "The URL of the service may be wrong: see --url, PUNCTUAL_URL and the profile.",
	"credentials-required":  "PUNCTUAL_KEY, a profile or --key gives the key.",
	"service-wide-required": "A key made by punctual keys create --service-wide may.",
}

// isRefused reports whether the service has refused a request with that code.
func isRefused(err error, code string) bool { return answers.IsRefused(err, code) }

// answer decodes what the service has answered to a request of the generated client.
func answer[T any](response *http.Response, err error) (T, error) {
	value, failure := answers.Of[T](response, err)
	return value, explain(response, err, failure)
}

// done is for requests whose answer has no body.
func done(response *http.Response, err error) error {
	return explain(response, err, answers.Done(response, err))
}

// explain makes an error for users of what a request has come to. unsent is why it could not be
// sent.
func explain(response *http.Response, unsent, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if failed, ok := errors.AsType[*url.Error](unsent); ok {
		host := ""
		if u, parseErr := url.Parse(failed.URL); parseErr == nil {
			host = u.Host
		}
		return &unreachable{host, unsent}
	}
	if unsent != nil {
		return fmt.Errorf("the request cannot be sent: %w", unsent)
	}
	host := response.Request.URL.Host
	if problem, ok := errors.AsType[*answers.Refused](err); ok {
		return &refused{problem}
	}
	if errors.Is(err, answers.ErrForeign) {
		return fmt.Errorf("%s answers not as the service does; is the URL right? %w", host, err)
	}
	return &unreachable{host, err}
}
