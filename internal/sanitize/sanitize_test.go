package sanitize_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/sanitize"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text  string
		limit int
		want  string
		isCut bool
	}{
		"empty":                            {text: "", limit: 4, want: ""},
		"as long as allowed":               {text: "abcd", limit: 4, want: "abcd"},
		"one byte longer":                  {text: "abcde", limit: 4, want: "abcd", isCut: true},
		"NUL":                              {text: "a\x00b", limit: 9, want: "a\uFFFDb"},
		"invalid UTF-8":                    {text: "a\xff\xfeb", limit: 9, want: "a\uFFFDb"},
		"half of a character at the end":   {text: "a\xc3", limit: 9, want: "a\uFFFD"},
		"cut within a character":           {text: "aéé", limit: 4, want: "aé", isCut: true},
		"cut within an emoji":              {text: "a😀", limit: 4, want: "a", isCut: true},
		"longer after replacement":         {text: "\x00\x00\x00\x00", limit: 4, want: "\uFFFD", isCut: true},
		"a long run of continuation bytes": {text: strings.Repeat("\x80", 9), limit: 8, want: "\uFFFD", isCut: true},
		"a limit of zero":                  {text: "é", limit: 0, want: "", isCut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, isCut := sanitize.Text(row.text, row.limit)
			require.Equal(t, row.want, got)
			require.Equal(t, row.isCut, isCut, "whether something is missing")
		})
	}
}

func TestTextIsAlwaysStorable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "text"))
		limit := rapid.IntRange(0, 40).Draw(t, "limit")
		got, isCut := sanitize.Text(text, limit)
		require.LessOrEqual(t, len(got), limit)
		require.True(t, utf8.ValidString(got))
		require.NotContains(t, got, "\x00")
		if utf8.ValidString(text) && !strings.Contains(text, "\x00") {
			require.Equal(t, len(got) < len(text), isCut)
			require.True(t, strings.HasPrefix(text, got))
		}
	})
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain é 日本 😀\t\n":   "plain é 日本 😀\t\n",
		"\x1b[31mred\x1b[0m": `\u001b[31mred\u001b[0m`,
		"\u009b2J":           `\u009b2J`,
		"a\rb\x7f\x07":       `a\u000db\u007f\u0007`,
		"\u202eevil\u2066":   `\u202eevil\u2066`,
	} {
		require.Equal(t, want, sanitize.Visible(text))
	}
}
