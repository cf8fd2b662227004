package secrets_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/secrets"
)

// encoded returns a key of 32 times b, in base64.
func encoded(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

func parse(t require.TestingT, text string) secrets.Keyring {
	ring, err := secrets.ParseKeyring(text)
	require.NoError(t, err)
	return ring
}

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("i", 32)
	for name, c := range map[string]struct{ text, current, shown string }{
		"nothing":        {"", "", ""},
		"one":            {"20261123:" + encoded(1), "20261123", "20261123:***"},
		"the first":      {"b:" + encoded(1) + ",a:" + encoded(2), "b", "b:***,a:***"},
		"the longest id": {longest + ":" + encoded(1), longest, longest + ":***"},
		"all of an id":   {"a-z_0.9:" + encoded(1), "a-z_0.9", "a-z_0.9:***"},
		"one key twice":  {"new:" + encoded(1) + ",old:" + encoded(1), "new", "new:***,old:***"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring := parse(t, c.text)
			current, ok := ring.Current()
			require.Equal(t, c.current, current, "the key that seals")
			require.Equal(t, c.current != "", ok, "whether there is one")
			require.Equal(t, c.shown, ring.String())
		})
	}
}

func TestParseKeyringSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const form = " must be 'id:key', its id 1 to 32 of a-z, 0-9, '.', '_' and '-'"
	short := base64.StdEncoding.EncodeToString(make([]byte, 31))
	long := base64.StdEncoding.EncodeToString(make([]byte, 33))
	for name, c := range map[string]struct{ text, want string }{
		"no id":                  {encoded(1), "key 1" + form},
		"hexadecimal without id": {strings.Repeat("0f", 16), "key 1" + form},
		"an empty id":            {":" + encoded(1), "key 1" + form},
		"an id too long":         {strings.Repeat("i", 33) + ":" + encoded(1), "key 1" + form},
		"an id in upper case":    {"A:" + encoded(1), "key 1" + form},
		"a space":                {"a:" + encoded(1) + ", b:" + encoded(2), "key 2" + form},
		"the other way round":    {encoded(1) + ":a", "key 1" + form},
		"a comma too many":       {"a:" + encoded(1) + ",", "key 2" + form},
		"an id twice":            {"a:" + encoded(1) + ",a:" + encoded(2), `key "a" is there twice`},
		"no key":                 {"a:", `key "a" has 0 bytes, not 32`},
		"a short key":            {"a:" + encoded(1) + ",b:" + short, `key "b" has 31 bytes, not 32`},
		"a long key":             {"a:" + long, `key "a" has 33 bytes, not 32`},
		"not base64":             {"a:" + strings.Repeat("?", 44), `key "a" is not base64`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := secrets.ParseKeyring(c.text)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestNoErrorShowsAKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := base64.StdEncoding.EncodeToString(aKey.Draw(t, "key"))
		text := []byte("old:" + key + ",new:" + key)
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		text[at] = rapid.SampledFrom([]byte(":,=aA0 \n\x00\xff")).Draw(t, "typo")
		_, err := secrets.ParseKeyring(string(text))
		for i := 0; err != nil && i+8 <= len(key); i++ {
			require.NotContains(t, err.Error(), key[i:i+8], "a part of the key")
		}
	})
}

func TestAKeyringDoesNotShowItsKeys(t *testing.T) {
	t.Parallel()
	ring := parse(t, "new:"+encoded(0xa5)+",old:"+encoded(0xa5))
	const shown = "new:***,old:***"
	require.Equal(t, shown, fmt.Sprint(ring))
	require.Equal(t, shown, fmt.Sprintf("%+v", &ring))
	require.Equal(t, "secrets.Keyring("+shown+")", fmt.Sprintf("%#v", ring))

	asJSON, err := json.Marshal(struct{ SecretKeys secrets.Keyring }{ring})
	require.NoError(t, err)
	require.JSONEq(t, `{"SecretKeys":"`+shown+`"}`, string(asJSON))

	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).Info("starting", "keys", ring, "config", struct{ SecretKeys secrets.Keyring }{ring})
		require.Equal(t, 2, strings.Count(log.String(), shown), "%s log: %s", name, &log)
	}
}

// Where fmt calls no methods it shows what a Keyring is made of: in fields that are not exported,
// and for some verbs. An AEAD has the key's bytes, or four of them as one number.
func TestAKeyringHasNoKeysToShow(t *testing.T) {
	t.Parallel()
	ring := parse(t, "a:"+encoded(0xa5))
	hidden := struct{ ring secrets.Keyring }{ring}
	for _, format := range []string{"%v", "%+v", "%#v", "%d", "%x", "%X", "%q", "%s"} {
		for _, value := range []any{ring, &ring, hidden, &hidden, []secrets.Keyring{ring}} {
			text := fmt.Sprintf(format, value)
			for _, part := range []string{"165 165 165", "a5a5a5a5", "A5A5A5A5", "0xa5, 0xa5", "2779096485"} {
				require.NotContains(t, text, part, "%s of %T", format, value)
			}
		}
	}
}

type command struct {
	SecretKeys secrets.Keyring `env:"SECRET_KEYS"`
}

// Validate does as the service's configuration does.
func (c command) Validate() error { return c.SecretKeys.Validate() }

func TestAKeyringIsReadFromTheEnvironment(t *testing.T) {
	t.Setenv("SECRET_KEYS", "a:"+encoded(1))
	var c command
	parser, err := kong.New(&c)
	require.NoError(t, err)
	_, err = parser.Parse(nil)
	require.NoError(t, err)
	require.Equal(t, "a:***", c.SecretKeys.String())
}

func TestWhatTheEnvironmentHasIsNotShown(t *testing.T) {
	t.Setenv("SECRET_KEYS", "a:"+encoded(1)+",b:"+encoded(2)[1:])
	var c command
	parser, err := kong.New(&c)
	require.NoError(t, err)
	_, err = parser.Parse(nil)
	require.EqualError(t, err, `key "b" is not base64`)

	_, err = c.SecretKeys.Seal(nil, nil)
	require.EqualError(t, err, `key "b" is not base64`, "sealing with a Keyring that could not be read")
	_, err = c.SecretKeys.Open(secrets.Sealed{KeyID: "a"}, nil)
	require.EqualError(t, err, `key "b" is not base64`, "opening with a Keyring that could not be read")
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	one, other := secrets.GenerateKey(now), secrets.GenerateKey(now)
	require.NotEqual(t, one, other, "two keys")
	current, _ := parse(t, one).Current()
	require.Equal(t, "20261123-120000", current)
}
