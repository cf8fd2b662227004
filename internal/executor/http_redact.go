package executor

import (
	"encoding/base64"
	"slices"
	"strings"
)

const (
	redacted = "[redacted]"
	// maxEscapes is how many times over a secret may be escaped and still be found: JSON in JSON in a URL.
	maxEscapes = 3
	// maxExpansion is how many times longer a secret can be where it is escaped: three times in a URL.
	maxExpansion = 3
	// minPart is the least length, in bytes, of a part of a secret that is looked for by itself. Shorter ones would be found
	// everywhere.
	minPart = 4
)

// redactor finds a target's secrets in what its receiver wrote.
type redactor struct {
	secrets []string
	// margin is how long a secret may be in a text, in bytes, escaped as it may be.
	margin int
}

func newRedactor(secrets httpSecrets) redactor {
	var r redactor
	for _, value := range secrets.Headers {
		value = strings.TrimSpace(value) // as it is sent
		r.add(value, 1)
		for _, part := range credentials(value) {
			r.add(part, minPart)
		}
	}
	for _, secret := range secrets.SigningSecrets {
		r.add(secret, 1)
		r.add(strings.TrimPrefix(secret, signingPrefix), 1)
	}
	return r
}

func (r *redactor) add(secret string, shortest int) {
	if len(secret) >= shortest && !slices.Contains(r.secrets, secret) {
		r.secrets = append(r.secrets, secret)
		r.margin = max(r.margin, maxExpansion*len(secret))
	}
}

// credentials returns the parts of a header's value that are secret by themselves: what follows its scheme, as in
// "Bearer abc"; the user with the password, and the password, of "Basic .."; each cookie; and values as in "key=abc".
func credentials(value string) (parts []string) {
	scheme, credential, hasScheme := strings.Cut(value, " ")
	if hasScheme {
		credential = strings.TrimSpace(credential)
		parts = append(parts, credential)
	}
	if strings.EqualFold(scheme, "Basic") {
		if decoded, err := base64.StdEncoding.DecodeString(credential); err == nil {
			_, password, _ := strings.Cut(string(decoded), ":")
			parts = append(parts, string(decoded), password)
		}
	}
	for part := range strings.FieldsFuncSeq(value, func(c rune) bool { return strings.ContainsRune(" ;,&", c) }) {
		if _, named, isNamed := strings.Cut(part, "="); isNamed {
			parts = append(parts, strings.Trim(named, `"'=`))
		}
	}
	return parts
}

// redact returns text up to end, with each secret replaced, also where it is escaped as in JSON, a URL or HTML, and where
// it ends after end.
func (r redactor) redact(text string, end int) string {
	if len(r.secrets) == 0 {
		return text[:end]
	}
	// steps says at each byte how many more secrets begin than end there.
	steps := make([]int, len(text)+1)
	seen := newView(text)
	for range maxEscapes + 1 {
		for _, secret := range r.secrets {
			for i := range matches(seen.text, secret) {
				steps[seen.from[i]]++
				steps[seen.from[i+len(secret)]]--
			}
		}
		unescaped := seen.unescape()
		if unescaped.text == seen.text {
			break
		}
		seen = unescaped
	}
	var shown strings.Builder
	depth := 0
	for i := range end {
		before := depth
		depth += steps[i]
		switch {
		case depth == 0:
			shown.WriteByte(text[i])
		case before == 0:
			shown.WriteString(redacted)
		}
	}
	return shown.String()
}

// matches yields where secret is in text, also where one overlaps the next, in a time that is proportional to the length of
// both (Knuth, Morris and Pratt), as the receiver chooses the text.
func matches(text, secret string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		first := strings.Index(text, secret)
		if first < 0 {
			return
		}
		// border[i] is the length of the longest text, shorter than secret[:i], that secret[:i] both begins and ends with.
		border := make([]int, len(secret)+1)
		size := 0
		for i := 1; i < len(secret); i++ {
			for size > 0 && secret[i] != secret[size] {
				size = border[size]
			}
			if secret[i] == secret[size] {
				size++
			}
			border[i+1] = size
		}
		size = 0
		for i := first; i < len(text); i++ {
			for size > 0 && (size == len(secret) || text[i] != secret[size]) {
				size = border[size]
			}
			if text[i] == secret[size] {
				size++
			}
			if size == len(secret) && !yield(i+1-size) {
				return
			}
		}
	}
}
