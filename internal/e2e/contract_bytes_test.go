package e2e

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// padded is body with white space around it, of the given size.
func padded(body []byte, size int) []byte {
	return append(bytes.Repeat([]byte(" "), size-len(body)), body...)
}

func nested(depth int) []byte {
	return []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
}

func utf16(body []byte) []byte {
	out := []byte{0xfe, 0xff}
	for _, b := range body {
		out = append(out, 0, b)
	}
	return out
}

// walkAny mutates a value that may be any JSON.
func (m *mutator) walkAny(body any, at []string) {
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		m.add(body, at, accepted, kinds[kind]...)
	}
	m.add(body, at, accepted, "1e400", "-1e400", "1e-400", "-0", "1E+2", "0.10", strings.Repeat("9", 1000), `{"a":1e400}`,
		`{"a":1,"a":2}`, `{"":1}`, `"\u00e9\ud83d\ude00\u2028<"`, `{"a":"`+strings.Repeat("a", 100_000)+`"}`, string(nested(maxNested)))
	// The payload keeps its bytes, so invalid escapes do no harm here, but they may harm its
	// readers.
	m.add(body, at, either, `"\ud800"`, `{"\udfff":1}`)
	m.add(body, at, refused, `"\u0000"`, `{"\u0000":1}`,
		string(nested(maxNested+1)), string(nested(5_000)), strings.Repeat(`{"a":`, maxNested+1)+"1"+strings.Repeat("}", maxNested+1))
	m.addNamed(body, at, strings.Join(at, ".")+".a.1.b", refused, `{"a":[0,{"b":"\u0000"}]}`)
}
