package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The search finds a secret in each form, wherever it is in a line.
func TestLeakScanFindsSecrets(t *testing.T) {
	t.Parallel()
	const secret = `correct "horse" <battery> staple`
	for name, line := range map[string]string{
		"in the clear":    "x" + secret + "x",
		"in JSON":         `{"a":"correct \"horse\" \u003cbattery\u003e staple"}`,
		"in plain JSON":   `{"a":"correct \"horse\" <battery> staple"}`,
		"in a URL":        "/x?y=correct+%22horse%22+%3Cbattery%3E+staple",
		"in hex":          hex.EncodeToString([]byte("x" + secret + "x")),
		"in base64":       base64.StdEncoding.EncodeToString([]byte(secret)),
		"after one byte":  base64.StdEncoding.EncodeToString([]byte("x" + secret + "xyz")),
		"after two bytes": base64.URLEncoding.EncodeToString([]byte("xy" + secret + "xy")),
	} {
		scan := leakScan{secrets: map[string]string{secret: "a test"}}
		var err error
		scan.file, err = os.Create(t.TempDir() + "/written")
		require.NoError(t, err)
		_, err = scan.Write([]byte("a line before\n" + line + "\na line after\n"))
		require.NoError(t, err)
		leaks, _, err := scan.find()
		scan.end()
		require.NoError(t, err)
		require.NotEmpty(t, leaks, name)
	}
}
