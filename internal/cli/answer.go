package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"punctual/gen/client"
)

// maxAnswer is the longest answer that is read, in bytes. A page is at most 8 MiB.
const maxAnswer = 64 << 20

// refused is a problem that the service has answered with.
type refused struct{ client.Problem }

// Error returns the problem as a sentence, and the fields that are wrong, one a line.
func (e *refused) Error() string {
	var text strings.Builder
	text.WriteString(strings.TrimSpace(e.Detail))
	if e.Detail == "" {
		text.WriteString(e.Title)
	}
	if e.Errors != nil {
		for _, field := range *e.Errors {
			fmt.Fprintf(&text, "\n  %s: %s", field.Field, field.Detail)
		}
	}
	if hint := hints[e.Code]; hint != "" {
		text.WriteString("\n  " + hint)
	}
	if e.Status >= http.StatusInternalServerError && e.RequestId != nil {
		fmt.Fprintf(&text, "\n  request: %s", *e.RequestId)
	}
	return text.String()
}

// hints say what to do about a problem at the command line.
var hints = map[string]string{ //nolint:gosec // no credentials, but where they go
	"path-not-found":        "The URL of the service may be wrong: see --url, PUNCTUAL_URL and the profile.",
	"credentials-required":  "PUNCTUAL_KEY, a profile or --key gives the key.",
	"service-wide-required": "A key made by punctual keys create --service-wide may.",
}

// isRefused reports whether the service has refused a request with that code.
func isRefused(err error, code string) bool {
	problem := (*refused)(nil)
	return errors.As(err, &problem) && problem.Code == code
}

// answer decodes what the service has answered to a request of the generated client.
func answer[T any](response *http.Response, err error) (value T, _ error) {
	body, err := read(response, err)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(body, &value); err != nil {
		return value, fmt.Errorf("the answer of the service is not what its contract says; is the URL right? %w", err)
	}
	return value, nil
}

// done is for requests whose answer has no body.
func done(response *http.Response, err error) error {
	_, err = read(response, err)
	return err
}

func read(response *http.Response, err error) ([]byte, error) {
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		host := ""
		if u, parseErr := url.Parse(failed.URL); parseErr == nil {
			host = u.Host
		}
		return nil, &unreachable{host, err}
	}
	if err != nil {
		return nil, fmt.Errorf("the request cannot be sent: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, &unreachable{response.Request.URL.Host, err}
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return body, nil
	}
	problem := &refused{}
	if json.Unmarshal(body, &problem.Problem) != nil || problem.Code == "" {
		return nil, fmt.Errorf("%s has answered %s, and not as the service does; is the URL right?", response.Request.URL.Host, response.Status)
	}
	return nil, problem
}
