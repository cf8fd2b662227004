package labels_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/labels"
)

// Only a text that is left out selects all: blanks may be a variable that was not set.
func TestParseSelector_ofBlanks(t *testing.T) {
	t.Parallel()
	all, err := labels.ParseSelector("")
	require.NoError(t, err)
	require.True(t, all.IsEmpty())
	for _, text := range []string{" ", "  ", "\t"} {
		_, err := labels.ParseSelector(text)
		require.ErrorContains(t, err, "names no label", "%q", text)
	}
}
