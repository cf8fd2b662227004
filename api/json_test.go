package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	for body, want := range map[string]string{
		`{"a":1,"b":{"a":1}}`:         "",
		`{"a":1,"a":2}`:               "a is given more than once",
		`{"a":1,"\u0061":2}`:          "a is given more than once",
		`{"a":{"b":[1,"\u0000"]}}`:    "a.b.1 contains a NUL character",
		`{"a":"\ud83d\ude00"}`:        "",
		`{"a":"\ufffd","b":"\uFFFD"}`: "",
		`{"a":"\ud800"}`:              "a contains half of a surrogate pair",
		`{"a":"\udc00\ud800"}`:        "a contains half of a surrogate pair",
		`{"a":"\ud83dx"}`:             "a contains half of a surrogate pair",
		`{"a":"\ud83d\n\ude00"}`:      "a contains half of a surrogate pair",
		`{"a":"\ufffd\ud800"}`:        "a contains half of a surrogate pair",
		`{"a":"\\ufffd\ud800"}`:       "a contains half of a surrogate pair",
		`{"a":"\\ud800 \ufffd"}`:      "",
		`{"a":"\\\ud800"}`:            "a contains half of a surrogate pair",
		`{"\ud800":1}`:                " contains half of a surrogate pair",
		`{"a":` + nested(200) + `}`:   "",
		`{"a":` + nested(201) + `}`:   "a is nested deeper than 200",
		`{"a":1`:                      " is not valid JSON",
		"\"\xff\"":                    " is not valid UTF-8",
	} {
		got := ""
		if field, err := checkJSON([]byte(body), ""); err != nil {
			got = field + " " + err.Error()
		}
		require.Equal(t, want, got, body)
	}
}
