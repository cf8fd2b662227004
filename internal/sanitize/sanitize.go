// Package sanitize prepares text of any origin for storing it, and for showing it in a terminal.
package sanitize

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s as PostgreSQL can store it, cut to at most limit bytes and not within a character.
// isCut reports whether something of s is missing. Invalid UTF-8 and NUL become U+FFFD: what they
// separate must not become one word.
func Text(s string, limit int) (stored string, isCut bool) {
	head := Cut(s, limit)
	whole := strings.ToValidUTF8(strings.ReplaceAll(head, "\x00", "\uFFFD"), "\uFFFD")
	stored = Cut(whole, limit) // a replacement is longer than the byte that it replaces
	return stored, len(head) < len(s) || len(stored) < len(whole)
}

// Cut returns at most the first limit bytes of s. It does not cut within a character.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for end := limit; end >= 0 && end > limit-utf8.UTFMax; end-- {
		if utf8.RuneStart(s[end]) {
			return s[:end]
		}
	}
	return s[:limit]
}

// FirstLine returns the first line of s, without its end.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r")
}

// Visible returns s with a visible escape, such as \u001b, for each character that would change how
// a terminal or a browser shows the text around it: control characters except tab and newline, and
// marks of writing direction.
func Visible(s string) string {
	if !strings.ContainsFunc(s, isInvisible) {
		return s
	}
	var shown strings.Builder
	for _, r := range s {
		if isInvisible(r) {
			fmt.Fprintf(&shown, `\u%04x`, r)
		} else {
			shown.WriteRune(r)
		}
	}
	return shown.String()
}

func isInvisible(r rune) bool {
	return r != '\t' && r != '\n' && unicode.IsControl(r) || r > unicode.MaxLatin1 && unicode.Is(unicode.Bidi_Control, r)
}
