package sanitize

import (
	"regexp"
	"strings"
)

// credential matches API keys, and parts of them, and JSON Web Tokens. What may be shown is in
// groups.
var credential = regexp.MustCompile(`(punc_[0-9A-Za-z]+_)[0-9A-Za-z]+|(eyJ)[\w-]{8,}\.[\w-]+\.[\w-]*`)

// WithoutCredentials returns s with *** for the secrets of what looks like an API key or a token.
// Clients send these where they do not belong, such as in a path.
func WithoutCredentials(s string) string {
	if !strings.Contains(s, "punc_") && !strings.Contains(s, "eyJ") {
		return s
	}
	return credential.ReplaceAllString(s, "$1$2***")
}
