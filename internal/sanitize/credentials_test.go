package sanitize_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/sanitize"
)

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/api/v1/jobs/punc_abcdefghijklmnop_qrstuv234567":              "/api/v1/jobs/punc_abcdefghijklmnop_***",
		"two: punc_a_b, punc_c_d":                                      "two: punc_a_***, punc_c_***",
		"Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_x!": "Bearer eyJ***!",
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.":                         "eyJ***",
		"punc_tuation is not a key, and eyJ is no token":               "punc_tuation is not a key, and eyJ is no token",
		"nothing of the kind":                                          "nothing of the kind",
	} {
		require.Equal(t, want, sanitize.WithoutCredentials(text))
	}
}
