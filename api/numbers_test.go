package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                        `{}`,
		`{"a":3600}`:                `{"a":3600}`,
		`{"a": 3600.0 ,"b":36e2}`:   `{"a": 3600 ,"b":3600}`,
		`{"a":-0.0,"b":1.5}`:        `{"a":0,"b":1.5}`,
		`{"a":{"b":[200.0,"1.0"]}}`: `{"a":{"b":[200,"1.0"]}}`,
		`{"payload":1.0,"a":1.0}`:   `{"payload":1.0,"a":1}`,
		`{"payload":{"a":[1.0]}}`:   `{"payload":{"a":[1.0]}}`,
		`{"a":{"payload":1.0}}`:     `{"a":{"payload":1}}`,
		`{"a":1e400,"b":1e300}`:     `{"a":1e400,"b":1e300}`,
		`{"a":9007199254740993.0}`:  `{"a":9007199254740993.0}`,
		`[1.0, 2.0]`:                `[1, 2]`,
		`1.0`:                       `1`,
	} {
		require.Equal(t, want, string(wholeNumbers([]byte(body))), body)
	}
}
