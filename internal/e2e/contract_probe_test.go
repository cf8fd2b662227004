package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// verdict is whether the service must accept a request.
type verdict int

const (
	accepted verdict = iota
	refused
	either // both are right, but a refusal names the field
)

// probe is one request with the response that it must get.
type probe struct {
	name      string
	operation *operation // nil if the contract has none
	thing     thing      // the thing that it asks for
	method    string
	path      string // as sent, escaped
	query     string // as sent, escaped
	header    http.Header
	body      []byte
	chunked   bool // whether the request has no Content-Length

	verdict verdict
	status  int      // 0 for any that fits the verdict
	allow   []string // the Allow header, if any
	in      string   // where the field is that a refusal names; empty if it names none
	field   string
	// loosely is whether a refusal may name a parent of the field instead.
	loosely bool
	secret  string // must not be in the response
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body []byte
}

// sendAll sends probes and fails for each wrong response.
func (c *contract) sendAll(t *testing.T, probes []probe) {
	t.Helper()
	failures := 0
	for _, p := range probes {
		got, err := c.send(t, p)
		if err == nil {
			err = c.check(t, p, got)
		}
		if err == nil {
			continue
		}
		if failures++; failures > maxFailures {
			t.Fatalf("more than %d failures: the rest is not sent", maxFailures)
		}
		t.Errorf("%s: %v\n%s%s", p.name, err, p, got)
	}
}

func (c *contract) send(t *testing.T, p probe) (answer, error) {
	t.Helper()
	c.sent.Add(1)
	var body io.Reader
	if p.body != nil {
		body = bytes.NewReader(p.body)
	}
	if p.chunked {
		body = struct{ io.Reader }{body} // hides the length
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, body)
	require.NoError(t, err)
	path, err := url.PathUnescape(p.path)
	require.NoError(t, err)
	r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = p.method, path, p.path, p.query
	if p.header != nil {
		r.Header = p.header
	}
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close()
	if isStream(response) { // it has no end, and nothing happens
		return answer{response, nil}, nil
	}
	content, err := io.ReadAll(response.Body)
	return answer{response, content}, err
}

func isStream(r *http.Response) bool { return r.Header.Get("Content-Type") == "text/event-stream" }

// check returns an error if an answer is wrong.
func (c *contract) check(t *testing.T, p probe, got answer) error {
	t.Helper()
	if got.StatusCode >= 500 {
		return fmt.Errorf("the service failed")
	}
	if err := c.checkForm(t, p, got); err != nil {
		return err
	}
	if p.allow != nil {
		allow := strings.Split(got.Header.Get("Allow"), ", ")
		slices.Sort(allow)
		if !slices.Equal(allow, p.allow) {
			return fmt.Errorf("the Allow header is %q, but the contract has %q", allow, p.allow)
		}
	}
	isRefused := got.StatusCode >= 400
	switch {
	case isRefused && p.verdict != refused && p.isRepeated(got):
	case isRefused && p.verdict == accepted:
		return fmt.Errorf("a valid request is refused")
	case !isRefused && p.verdict == refused:
		return fmt.Errorf("an invalid request is accepted")
	case p.status != 0 && got.StatusCode != p.status:
		return fmt.Errorf("the status is %d instead of %d", got.StatusCode, p.status)
	case p.secret != "" && bytes.Contains(got.body, []byte(p.secret)):
		return fmt.Errorf("the answer has the secret %q", p.secret)
	case isRefused && p.method != http.MethodHead:
		return p.checkProblem(got)
	}
	return nil
}

// checkForm checks an answer against the schemas of the operation.
func (c *contract) checkForm(t *testing.T, p probe, got answer) error {
	t.Helper()
	op := p.operation
	if op == nil {
		// A path that the contract does not have returns a problem.
		problem := c.spec.Components.Responses["NotFound"]
		responses := openapi3.NewResponses(openapi3.WithStatus(got.StatusCode, problem))
		op = &operation{Operation: &openapi3.Operation{Responses: responses}, path: p.path, method: p.method}
		if mediaType := got.Header.Get("Content-Type"); mediaType != "application/problem+json" {
			return fmt.Errorf("the content type is %q", mediaType)
		}
	}
	if documented := op.Responses.Status(got.StatusCode); documented != nil && len(documented.Value.Content) == 0 && len(got.body) > 0 {
		return fmt.Errorf("there is a body")
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: got.Request,
			Route: &routers.Route{
				Spec: c.spec, Path: op.path, PathItem: op.item, Method: op.method, Operation: op.Operation,
			},
		},
		Status: got.StatusCode, Header: got.Header,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: isStream(got.Response),
			SchemaValidationOptions: []openapi3.SchemaValidationOption{
				openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)),
				// Instants are in UTC with microseconds.
				openapi3.WithStringFormatValidator("date-time", openapi3.NewRegexpFormatValidator(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)),
			},
		},
	}
	input.SetBodyBytes(got.body)
	if err := openapi3filter.ValidateResponse(t.Context(), input); err != nil {
		return fmt.Errorf("the answer is not as the contract says: %w", err)
	}
	return nil
}

// isRepeated reports whether a request is refused only because of one before it: it creates what
// has a name, or it has an Idempotency-Key, and many probes have the same one.
func (p probe) isRepeated(got answer) bool {
	if code := problemIn(got).Code; p.header.Get("Idempotency-Key") != "" && strings.HasPrefix(code, "idempotency-key-") {
		return true
	}
	switch {
	case p.operation == nil:
		return false
	case p.operation.OperationID == "putJobByKey": // with If-None-Match
		return problemIn(got).Code == "job-exists"
	default:
		return slices.Contains([]string{"createNamespace", "createConnection", "createCalendar"}, p.operation.OperationID) && got.StatusCode == http.StatusConflict
	}
}

// internals are words of the code that mean nothing to a client.
var internals = regexp.MustCompile(`json\.|\b(api|db)\.|strconv|float(32|64)|unmarshal|pgx|SQLSTATE|goroutine|openapi|interface \{|map\[|<nil>`)

// checkProblem checks the content of a refusal.
func (p probe) checkProblem(got answer) error {
	var problem client.Problem
	if err := json.Unmarshal(got.body, &problem); err != nil {
		return fmt.Errorf("the problem cannot be read: %w", err)
	}
	if int(problem.Status) != got.StatusCode {
		return fmt.Errorf("the problem's status is %d", problem.Status)
	}
	if problem.RequestId == nil || *problem.RequestId != got.Header.Get("X-Request-Id") {
		return fmt.Errorf("the problem's request id is not the answer's")
	}
	var named []client.FieldError
	if problem.Errors != nil {
		named = *problem.Errors
	}
	for _, e := range named {
		if word := internals.FindString(e.Detail); word != "" {
			return fmt.Errorf("the problem shows %q, which is a word of the code", word)
		}
	}
	if p.in == "" {
		return nil
	}
	if slices.ContainsFunc(named, p.isNamed) {
		return nil
	}
	return fmt.Errorf("the problem does not name the %s field %q", p.in, p.field)
}

func (p probe) isNamed(e client.FieldError) bool {
	if string(e.In) != p.in {
		return false
	}
	if v, isItem := p.operation.verdict(accepted, p.in, p.field), strings.HasPrefix(e.Field, p.field+"."); isItem && v == either {
		return true // a rule about the list as a whole names its items
	}
	return e.Field == p.field || (p.loosely && (e.Field == "" || strings.HasPrefix(p.field, e.Field+".")))
}

// maxShown is how much of a body is printed.
const maxShown = 300

func shown(body []byte) string {
	text := string(body[:min(len(body), maxShown)])
	if !json.Valid(body) || len(body) > maxShown {
		text = fmt.Sprintf("%q", text)
	}
	if len(body) > maxShown {
		text += fmt.Sprintf(" ... %d bytes", len(body))
	}
	return text
}

// String prints the request as it is sent.
func (p probe) String() string {
	var text strings.Builder
	target := p.path
	if p.query != "" {
		target += "?" + p.query
	}
	fmt.Fprintf(&text, "> %s %s\n", p.method, shortened(target))
	for name, values := range p.header {
		fmt.Fprintf(&text, "> %s: %s\n", name, strings.Join(values, " | "))
	}
	if p.body != nil {
		fmt.Fprintf(&text, "> %s\n", shown(p.body))
	}
	return text.String()
}

// String prints the answer.
func (a answer) String() string {
	if a.Response == nil {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "< %s\n", a.Status)
	for _, name := range []string{"Content-Type", "Allow", "Location"} {
		if value := a.Header.Get(name); value != "" {
			fmt.Fprintf(&text, "< %s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&text, "< %s\n", shown(a.body))
	return text.String()
}

func shortened(text string) string {
	if len(text) > maxShown {
		return fmt.Sprintf("%s ... %d bytes", text[:maxShown], len(text))
	}
	return text
}
