package executor

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
)

// httpDefinition is an http target as the contract describes it.
type httpDefinition struct {
	// URL is where the request goes, unless Connection says so, which Path follows.
	URL        string            `json:"url"`
	Connection string            `json:"connection"`
	Path       string            `json:"path"`
	Method     string            `json:"method"`
	Headers    map[string]string `json:"headers"`
	// Body is nil if the run's payload is sent.
	Body         *string `json:"body"`
	ExpectStatus []int   `json:"expectStatus"`
	// RetryOn is nil if another attempt is made after each status that means failure.
	RetryOn         *[]int `json:"retryOn"`
	FollowRedirects bool   `json:"followRedirects"`
}

// httpSecrets are the write-only fields of an http target.
type httpSecrets struct {
	Headers map[string]string `json:"secretHeaders"`
	// SigningSecrets has two elements while one secret replaces the other.
	SigningSecrets []string `json:"signingSecrets"`
	// hidden are secrets that are not sent as they are, and that the receiver might write all the
	// same.
	hidden []string
}

// decodeHTTP decodes a target and its secrets. Its errors give no details, which would quote them.
func decodeHTTP(definition, secrets json.RawMessage) (def httpDefinition, sec httpSecrets, err error) {
	if json.Unmarshal(definition, &def) != nil {
		return def, sec, errors.New("the target's definition cannot be read")
	}
	if secrets != nil && json.Unmarshal(secrets, &sec) != nil {
		return def, sec, errors.New("the target's secrets cannot be read")
	}
	def.Method = cmp.Or(def.Method, http.MethodPost)
	return def, sec, nil
}

// content returns the body of the request, and reports whether that is JSON.
func (d httpDefinition) content(payload json.RawMessage) (content []byte, isJSON bool) {
	if d.Body != nil {
		return []byte(*d.Body), json.Valid([]byte(*d.Body))
	}
	switch d.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return payload, len(payload) > 0
	default:
		return nil, false
	}
}
