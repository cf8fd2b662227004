package executor

import (
	"bytes"
	"html"
	"regexp"
	"strconv"
	"strings"
)

const (
	redacted = "[redacted]"
	// maxEscapes is how many times over a secret may be escaped and still be found: JSON in JSON in a URL.
	maxEscapes = 3
	// maxEscape is how long an escape can be, in bytes: &#x0027; has some to spare.
	maxEscape = 10
)

// redactor finds a target's secrets in what its receiver wrote.
type redactor struct{ secrets [][]byte }

func newRedactor(secrets httpSecrets) redactor {
	var r redactor
	for _, value := range secrets.Headers {
		value = strings.TrimSpace(value) // as it is sent
		r.add(value)
		if _, credential, ok := strings.Cut(value, " "); ok { // without its scheme, as in "Bearer abc"
			r.add(strings.TrimSpace(credential))
		}
	}
	for _, secret := range secrets.SigningSecrets {
		r.add(secret)
		r.add(strings.TrimPrefix(secret, signingPrefix))
	}
	return r
}

func (r *redactor) add(secret string) {
	if secret != "" {
		r.secrets = append(r.secrets, []byte(secret))
	}
}

// redact replaces each secret in text, also where it is escaped as in JSON, a URL or HTML. Where text was cut, what it ends
// with is replaced too when a secret begins like that.
func (r redactor) redact(text []byte, isCut bool) []byte {
	if len(r.secrets) == 0 {
		return text
	}
	hidden := make([]bool, len(text))
	seen := view{text: text, from: make([]int, len(text)+1)}
	for i := range seen.from {
		seen.from[i] = i
	}
	for range maxEscapes + 1 {
		r.mark(hidden, seen, isCut)
		unescaped := seen.unescape()
		if bytes.Equal(unescaped.text, seen.text) {
			break
		}
		seen = unescaped
	}
	var shown []byte
	for i, c := range text {
		switch {
		case !hidden[i]:
			shown = append(shown, c)
		case i == 0 || !hidden[i-1]:
			shown = append(shown, redacted...)
		}
	}
	return shown
}

// mark sets hidden where a secret is in a view of the text.
func (r redactor) mark(hidden []bool, seen view, isCut bool) {
	hide := func(begin, end int) {
		for i := seen.from[begin]; i < seen.from[end]; i++ {
			hidden[i] = true
		}
	}
	for _, secret := range r.secrets {
		for begin := 0; ; {
			i := bytes.Index(seen.text[begin:], secret)
			if i < 0 {
				break
			}
			hide(begin+i, begin+i+len(secret))
			begin += i + 1
		}
		if !isCut {
			continue
		}
		for _, tail := range [][]byte{seen.text, cutEscape.ReplaceAll(seen.text, nil)} {
			for size := min(len(secret), len(tail)); size > 0; size-- {
				if bytes.HasSuffix(tail, secret[:size]) {
					hide(len(tail)-size, len(seen.text))
					break
				}
			}
		}
	}
}

// cutEscape is an escape that the end of the text cut off.
var cutEscape = regexp.MustCompile(`(\\(u[0-9A-Fa-f]{0,3})?|%[0-9A-Fa-f]?|&[#0-9A-Za-z]{0,8})$`)

// view is a text as it reads when it is unescaped. from tells where in the original each byte of it comes from, and, one
// behind the last, where the original ends.
type view struct {
	text []byte
	from []int
}

// unescape undoes one level of escapes.
func (v view) unescape() view {
	var out view
	for i := 0; i < len(v.text); {
		plain, size := unescapeOne(v.text[i:])
		for range plain {
			out.from = append(out.from, v.from[i])
		}
		out.text = append(out.text, plain...)
		i += size
	}
	out.from = append(out.from, v.from[len(v.text)])
	return out
}

// unescapeOne undoes the escape that text begins with, if any, and tells how long it was.
func unescapeOne(text []byte) (plain []byte, size int) {
	head := text[:min(len(text), maxEscape)]
	next := byte(0)
	if len(head) > 1 {
		next = head[1]
	}
	switch {
	case head[0] == '%':
		return unescapeHex(head, 1, 2)
	case head[0] == '&':
		if end := bytes.IndexByte(head, ';'); end > 0 {
			return []byte(html.UnescapeString(string(head[:end+1]))), end + 1
		}
	case head[0] == '\\' && next == 'u':
		return unescapeHex(head, 2, 4)
	case head[0] == '\\' && next == 't':
		return []byte{'\t'}, 2
	case head[0] == '\\' && strings.IndexByte(`"'\/`, next) >= 0:
		return head[1:2], 2
	}
	return head[:1], 1
}

// unescapeHex undoes an escape of a mark and some hexadecimal digits: one byte in two of them, a character in four.
func unescapeHex(head []byte, mark, digits int) (plain []byte, size int) {
	size = mark + digits
	if len(head) < size {
		return head[:1], 1
	}
	code, err := strconv.ParseUint(string(head[mark:size]), 16, 16)
	switch {
	case err != nil:
		return head[:1], 1
	case digits == 2:
		return []byte{byte(code)}, size
	default:
		return []byte(string(rune(code))), size
	}
}
