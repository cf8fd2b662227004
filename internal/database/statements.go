package database

import (
	"regexp"
	"strings"
)

// dollarTag matches the delimiter of a dollar-quoted text, such as $$ or $body$. All characters
// beyond ASCII are letters to PostgreSQL.
var dollarTag = regexp.MustCompile(`^\$([A-Za-z_\x{80}-\x{10FFFF}][A-Za-z_0-9\x{80}-\x{10FFFF}]*)?\$`)

// statements splits a script at the semicolons between its statements. It knows quoted texts and
// names, dollar quotes, and comments. It does not know functions whose body is "begin atomic ..
// end": write such bodies in dollar quotes.
func statements(script string) (list []string) {
	begin, hasText := 0, false
	for at := 0; at < len(script); {
		rest := script[at:]
		length, kind := token(rest)
		switch kind {
		case separator:
			if hasText {
				list = append(list, strings.TrimSpace(script[begin:at]))
			}
			begin, hasText = at+length, false
		case text:
			hasText = true
		case filler:
		}
		at += length
	}
	if hasText {
		list = append(list, strings.TrimSpace(script[begin:]))
	}
	return list
}

type tokenKind int

const (
	text      tokenKind = iota
	filler              // white space or a comment
	separator           // a semicolon
)

// token returns the length and the kind of the token that a script begins with.
func token(script string) (length int, kind tokenKind) {
	switch c := script[0]; {
	case c == ';':
		return 1, separator
	case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
		return 1, filler
	case strings.HasPrefix(script, "--"):
		return through(script, "\n", 2), filler
	case strings.HasPrefix(script, "/*"):
		return blockComment(script), filler
	case c == '"':
		return through(script, `"`, 1), text // a doubled quote is two names in a row, which does no harm
	case c == '\'':
		return through(script, "'", 1), text // likewise
	case (c == 'E' || c == 'e') && strings.HasPrefix(script[1:], "'"):
		return escapedText(script), text
	case c == '$':
		if tag := dollarTag.FindString(script); tag != "" {
			return through(script, tag, len(tag)), text
		}
		return 1, text
	default:
		return word(script), text
	}
}

// through returns the length of a script up to and with the end of a token whose beginning takes
// skip bytes. A token that does not end takes the rest of the script: PostgreSQL then names the
// fault.
func through(script, end string, skip int) int {
	if at := strings.Index(script[skip:], end); at >= 0 {
		return skip + at + len(end)
	}
	return len(script)
}

// blockComment returns the length of a comment, in which others may be nested.
func blockComment(script string) int {
	depth := 0
	for at := 0; at < len(script); at++ {
		switch {
		case strings.HasPrefix(script[at:], "/*"):
			depth++
			at++
		case strings.HasPrefix(script[at:], "*/"):
			depth--
			at++
		}
		if depth == 0 {
			return at + 1
		}
	}
	return len(script)
}

// escapedText returns the length of a text such as E'it\'s'.
func escapedText(script string) int {
	for at := len("E'"); at < len(script); at++ {
		switch script[at] {
		case '\\':
			at++
		case '\'':
			return at + 1
		}
	}
	return len(script)
}

// word returns the length of a name, a number or a single other character. A dollar sign within a
// name, or an E at its end, begins no quote.
func word(script string) int {
	isWord := func(r rune) bool {
		return r == '_' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127
	}
	return max(1, len(script)-len(strings.TrimLeftFunc(script, isWord)))
}
