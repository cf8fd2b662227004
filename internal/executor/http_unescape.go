package executor

import (
	"html"
	"strconv"
	"strings"
)

// maxEscape is the maximum length of an escape, in bytes. &#x0027; is one of the longest.
const maxEscape = 10

// view is a text after unescaping. from[i] is the index in the original text from which byte i
// comes. Its last element is the length of the original text.
type view struct {
	text string
	from []int
}

func newView(text string) view {
	v := view{text, make([]int, len(text)+1)}
	for i := range v.from {
		v.from[i] = i
	}
	return v
}

// unescape undoes one level of escapes.
func (v view) unescape() view {
	if !strings.ContainsAny(v.text, `\%&`) {
		return v
	}
	text := make([]byte, 0, len(v.text))
	from := make([]int, 0, len(v.from))
	for i := 0; i < len(v.text); {
		plain, size := unescapeOne(v.text[i:])
		for range len(plain) {
			from = append(from, v.from[i])
		}
		text = append(text, plain...)
		i += size
	}
	return view{string(text), append(from, v.from[len(v.text)])}
}

// unescapeOne undoes the escape that text begins with, if any, and returns how long it was.
func unescapeOne(text string) (plain string, size int) {
	head := text[:min(len(text), maxEscape)]
	next := byte(0)
	if len(head) > 1 {
		next = head[1]
	}
	switch {
	case head[0] == '%':
		return unescapeHex(head, 1, 2)
	case head[0] == '&':
		if end := strings.IndexByte(head, ';'); end > 0 {
			return html.UnescapeString(head[:end+1]), end + 1
		}
	case head[0] == '\\' && next == 'u':
		return unescapeHex(head, 2, 4)
	case head[0] == '\\' && next == 't':
		return "\t", 2
	case head[0] == '\\' && strings.IndexByte(`"'\/`, next) >= 0:
		return head[1:2], 2
	}
	return head[:1], 1
}

// unescapeHex undoes an escape that consists of a mark and hexadecimal digits. Two digits are a
// byte, four a character.
func unescapeHex(head string, mark, digits int) (plain string, size int) {
	size = mark + digits
	if len(head) < size {
		return head[:1], 1
	}
	code, err := strconv.ParseUint(head[mark:size], 16, 16)
	switch {
	case err != nil:
		return head[:1], 1
	case digits == 2:
		return string([]byte{byte(code)}), size
	default:
		return string(rune(code)), size
	}
}
