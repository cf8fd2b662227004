package executor

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"punctual/internal/placeholders"
)

var (
	// connectionHeaders describe the connection, or how a request is framed and addressed on it.
	connectionHeaders = []string{
		"connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate",
		"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
	}
	ownHeaders  = []string{"idempotency-key", "traceparent", "tracestate"}
	ownPrefixes = []string{"punctual-", "webhook-"}
	// credentialNames matches names of headers, in lower case, that carry credentials.
	credentialNames = regexp.MustCompile(`cookie|token|secret|passw|pwd|credential|bearer|jwt|` +
		`authori[sz]ation|authentication|(^|[-_])auth([-_]|$)|session[-_]?(id|key)|` +
		`(api|access|account|auth|functions|master|private|shared|signing|subscription)[-_]?key`)
)

// Check implements [Checker].
func (h *HTTP) Check(definition, secrets json.RawMessage) []Fault {
	def, sec, err := decodeHTTP(definition, secrets)
	if err != nil {
		return []Fault{{"type", NotAllowed, err.Error()}}
	}
	faults := def.fill(placeholders.Values{JobName: "name", JobKey: "key"})
	if len(faults) > 0 {
		return faults
	}
	faults = append(faults, h.checkPlace(&def)...)
	faults = append(faults, checkHeaders(def.Headers, sec.Headers)...)
	faults = append(faults, checkSigningSecrets(sec.SigningSecrets)...)
	if def.Body != nil && (def.Method == http.MethodGet || def.Method == http.MethodHead) {
		faults = append(faults, Fault{"body", Conflicting, "cannot be sent with " + def.Method})
	}
	return faults
}

// checkPlace checks where a request goes: to a URL, or to a path of a connection.
func (h *HTTP) checkPlace(def *httpDefinition) (faults []Fault) {
	switch {
	case def.Connection == "" && def.URL == "":
		return []Fault{{"url", Required, "must be given unless there is a connection"}}
	case def.Connection != "" && def.URL != "":
		return []Fault{{"url", Conflicting, "cannot be given together with connection"}, {"connection", Conflicting, "cannot be given together with url"}}
	case def.Connection == "" && def.Path != "":
		return []Fault{{"path", Conflicting, "can be given only together with connection"}}
	case def.Connection != "":
		whole, err := join("https://example.com", def.Path)
		if err == nil {
			err = h.client.CheckURL(whole)
		}
		if err != nil {
			return []Fault{{"path", WrongFormat, err.Error()}}
		}
		return nil
	}
	if err := h.client.CheckURL(def.URL); err != nil {
		return []Fault{{"url", NotAllowed, err.Error()}}
	}
	return nil
}

// CheckConnection returns the faults of a connection, by the fields of the contract.
func (h *HTTP) CheckConnection(c *Connection) (faults []Fault) {
	base, err := url.Parse(c.BaseURL)
	switch {
	case err != nil || base.RawQuery != "" || base.ForceQuery || base.Fragment != "" || strings.Contains(c.BaseURL, "#"):
		faults = append(faults, Fault{"baseUrl", WrongFormat, "must be a URL without query and fragment"})
	default:
		if err := h.client.CheckURL(c.BaseURL); err != nil {
			faults = append(faults, Fault{"baseUrl", NotAllowed, err.Error()})
		}
	}
	if c.Auth.TokenURL != "" {
		if err := h.client.CheckURL(c.Auth.TokenURL); err != nil {
			faults = append(faults, Fault{"auth.tokenUrl", NotAllowed, err.Error()})
		}
	}
	faults = append(faults, checkHeaders(c.Headers, c.SecretHeaders)...)
	for name := range c.SecretHeaders {
		if http.CanonicalHeaderKey(name) == authorization && c.Auth.Type != AuthNone {
			faults = append(faults, Fault{"secretHeaders." + name, Conflicting, "cannot be given together with auth"})
		}
	}
	return append(faults, checkSigningSecrets(c.SigningSecrets)...)
}

func checkHeaders(headers, secretHeaders map[string]string) (faults []Fault) {
	taken := map[string]bool{}
	check := func(list, name, value string) {
		lower := strings.ToLower(name)
		fault := func(code, detail string) { faults = append(faults, Fault{list + "." + name, code, detail}) }
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			fault(WrongFormat, "is not a valid name of a header")
		case slices.Contains(connectionHeaders, lower):
			fault(NotAllowed, "belongs to the connection and cannot be set")
		case isOwnHeader(lower):
			fault(NotAllowed, "is set by Punctual")
		case taken[lower]:
			fault(NotUnique, "is given twice")
		case list == "headers" && credentialNames.MatchString(lower):
			fault(NotAllowed, "belongs in secretHeaders")
		}
		if !httpguts.ValidHeaderFieldValue(value) {
			fault(WrongFormat, "must not contain control characters")
		}
		taken[lower] = true
	}
	// They are sorted so that the same definition always has the same faults.
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		check("headers", name, headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(secretHeaders)) {
		check("secretHeaders", name, secretHeaders[name])
	}
	return faults
}

func isOwnHeader(name string) bool {
	return slices.Contains(ownHeaders, name) ||
		slices.ContainsFunc(ownPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
