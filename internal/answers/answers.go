// Package answers decodes what the service answers to requests of the generated client. The command
// line and the dashboard use it.
package answers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"punctual/gen/client"
)

// maxAnswer is the longest answer that is read, in bytes. A page is at most 8 MiB.
const maxAnswer = 64 << 20

// ErrForeign says that an answer is not as the contract says.
var ErrForeign = errors.New("the answer of the service is not what its contract says")

// Refused is a problem that the service has answered with.
type Refused struct{ client.Problem }

// Error returns the problem as a sentence, and the fields that are wrong, one a line.
func (e *Refused) Error() string {
	var text strings.Builder
	text.WriteString(strings.TrimSpace(e.Detail))
	if e.Detail == "" {
		text.WriteString(e.Title)
	}
	for _, field := range e.Fields() {
		fmt.Fprintf(&text, "\n  %s: %s", field.Field, field.Detail)
	}
	return text.String()
}

// Fields returns the fields that are wrong.
func (e *Refused) Fields() []client.FieldError {
	if e.Errors == nil {
		return nil
	}
	return *e.Errors
}

// IsRefused reports whether the service has refused a request with a code.
func IsRefused(err error, code string) bool {
	refused, is := errors.AsType[*Refused](err)
	return is && refused.Code == code
}

// Of reads an answer with a body. The arguments are what the client returns. Errors are those of
// the client, and of Read.
func Of[T any](response *http.Response, err error) (value T, _ error) {
	if err != nil {
		return value, err
	}
	body, err := Read(response)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(body, &value); err != nil {
		return value, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return value, nil
}

// Done reads an answer without a body.
func Done(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	_, err = Read(response)
	return err
}

// Read reads and closes the body of an answer. If the answer is a problem, the error is a *Refused.
// ErrForeign says that something else has answered than the service.
func Read(response *http.Response) ([]byte, error) {
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return body, nil
	}
	refused := &Refused{}
	if json.Unmarshal(body, &refused.Problem) != nil || refused.Code == "" {
		return nil, fmt.Errorf("%w: %s", ErrForeign, response.Status)
	}
	return nil, refused
}
