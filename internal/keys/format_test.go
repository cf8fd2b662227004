package keys

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestKeyIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	expression := regexp.MustCompile(`^` + Expression + `$`)
	seen := map[string]bool{}
	for range 1000 {
		plain := generate()
		text := plain.Reveal()
		require.Regexp(t, expression, text)
		require.Len(t, text, keyLength)
		got, ok := parse(text)
		require.True(t, ok, text)
		require.Equal(t, plain, got)
		require.Equal(t, text, "punc_"+plain.ID()+text[len("punc_")+idLength:])
		require.False(t, seen[plain.ID()], "ids do not repeat")
		seen[plain.ID()] = true
	}
}

// A key that was mistyped or cut is refused without asking the database.
func TestOneWrongCharacterIsNoKey(t *testing.T) {
	t.Parallel()
	text := generate().Reveal()
	for at := range len(text) {
		for _, other := range []byte("abcdefghijklmnopqrstuvwxyz234567_ABZ019=-\n \x00\xff") {
			if other == text[at] {
				continue
			}
			_, ok := parse(text[:at] + string([]byte{other}) + text[at+1:])
			require.False(t, ok, "%q instead of %q at %d", other, text[at], at)
		}
		_, ok := parse(text[:at])
		require.False(t, ok, "cut at %d", at)
		_, ok = parse(text[:at] + text[at+1:])
		require.False(t, ok, "without the character at %d", at)
		_, ok = parse(text[:at] + "\n" + text[at:])
		require.False(t, ok, "with a line break at %d", at)
	}
	for _, other := range []string{"", "punc_", "punc__", text + "a", " " + text, text + "\n", strings.ToUpper(text), text + text} {
		_, ok := parse(other)
		require.False(t, ok, "%q", other)
	}
}

func TestAnyTextIsReadSafely(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.String(), rapid.StringMatching(`punc_.{0,80}`), rapid.StringMatching(Expression),
		).Draw(t, "text")
		if plain, ok := parse(text); ok && plain.Reveal() != text {
			t.Fatalf("%q is read as another key", text)
		}
	})
}

// The checksum is as documented, so that others can compute it.
func TestChecksum(t *testing.T) {
	t.Parallel()
	var plain Plain
	require.Equal(t, "punc_aaaaaaaaaaaaaaaa_"+strings.Repeat("a", 51)+plain.Reveal()[len(plain.Reveal())-5:], plain.Reveal())
	sum := plain.checksum()
	require.Equal(t, "6f28fb", hex.EncodeToString(sum[:]), "python3: hex(zlib.crc32(bytes(42)) & 0xffffff)")
}

// Nothing that prints a key by mistake shows its secret.
func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	plain := generate()
	secret := plain.Reveal()[len(plain.String()):]
	raw := fmt.Sprintf("%x", plain.secret)
	var log bytes.Buffer
	for _, handler := range []slog.Handler{
		slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil),
	} {
		slog.New(handler).Info("made", "key", plain, "pointer", &plain, "in", struct{ Key Plain }{plain})
	}
	encoded, err := json.Marshal(map[string]any{"key": plain, "pointer": &plain})
	require.NoError(t, err)
	log.Write(encoded)
	fmt.Fprint(&log, plain, &plain, []Plain{plain}, struct{ Key Plain }{plain})
	for _, verb := range "vsqxXdbotc" {
		for _, flag := range []string{"", "+", "#"} {
			fmt.Fprintf(&log, "%"+flag+string(verb), plain)
		}
	}
	printed := log.String()
	require.Contains(t, printed, plain.String())
	require.NotContains(t, printed, secret[:8])
	require.NotContains(t, printed, raw[:8])
	require.NotContains(t, printed, strings.Trim(fmt.Sprintf("%d", plain.secret[:4]), "[]"))
}
