package executor

import (
	"encoding/base64"
	"slices"
	"strings"
)

const (
	redacted = "[redacted]"
	// maxEscapes is how many levels of escapes are undone to find a secret, such as JSON in JSON in
	// a URL.
	maxEscapes = 3
	// maxExpansion is how many times longer a secret becomes when it is escaped: three times in a
	// URL.
	maxExpansion = 3
	// minPart is the minimum length, in bytes, of a part of a secret that is searched for. Shorter
	// parts would be found everywhere.
	minPart = 4
)

// redactor hides the secrets of a target in what its receiver wrote.
type redactor struct {
	secrets []string
	// margin is the maximum length, in bytes, of a secret in a text, where it may be escaped.
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
		r.add(strings.TrimPrefix(strings.TrimPrefix(secret, signingPrefix), privatePrefix), 1)
	}
	for _, secret := range secrets.hidden {
		r.add(secret, 1)
	}
	return r
}

func (r *redactor) add(secret string, shortest int) {
	inForm := strings.ReplaceAll(secret, " ", "+") // as in application/x-www-form-urlencoded
	for _, secret := range []string{secret, inForm} {
		if len(secret) >= shortest && !slices.Contains(r.secrets, secret) {
			r.secrets = append(r.secrets, secret)
			r.margin = max(r.margin, maxExpansion*len(secret))
		}
	}
}

// credentials returns the parts of a header value that are secrets themselves: the credential after
// a scheme, as in "Bearer abc"; "user:password" and the password of "Basic"; the value of each
// cookie, and of each "key=abc".
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

// redact returns text[:end] with each secret replaced. It also finds secrets that are escaped as in
// JSON, a URL or HTML, and those that end after end.
func (r redactor) redact(text string, end int) string {
	if len(r.secrets) == 0 {
		return text[:end]
	}
	// steps[i] is how many secrets begin at byte i, minus how many end before it.
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

// matches yields the index of each occurrence of secret in text, also of overlapping ones. It takes
// linear time (Knuth, Morris and Pratt), because the receiver chooses the text.
func matches(text, secret string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		first := strings.Index(text, secret)
		if first < 0 {
			return
		}
		// border[i] is the length of the longest proper prefix of secret[:i] that is also its
		// suffix.
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
