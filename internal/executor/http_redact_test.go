package executor

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func quoted(text string) string {
	encoded, _ := json.Marshal(text)
	return string(encoded)
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	secrets := fields{
		"secretHeaders":  fields{"Authorization": "Bearer " + secretWord, "X-Key": "\ttrimmed-when-sent\t", "X-Empty": ""},
		"signingSecrets": []string{oldSecret},
	}
	bare := strings.TrimPrefix(oldSecret, signingPrefix)
	for name, row := range map[string]struct{ answer, want string }{
		"nothing secret":      {"hello 100% &amp; \\n", "hello 100% &amp; \\n"},
		"as it is":            {"<Bearer " + secretWord + ">", "<[redacted]>"},
		"without its scheme":  {"token " + secretWord + ".", "token [redacted]."},
		"twice":               {secretWord + "," + secretWord, "[redacted],[redacted]"},
		"in a row":            {secretWord + secretWord, "[redacted]"},
		"trimmed":             {"a trimmed-when-sent b", "a [redacted] b"},
		"signing secret":      {"a " + oldSecret + " b", "a [redacted] b"},
		"without its prefix":  {"a " + bare + " b", "a [redacted] b"},
		"JSON":                {`{"a":` + quoted(secretWord) + `}`, `{"a":"[redacted]"}`},
		"JSON in JSON":        {quoted(`{"a":` + quoted(secretWord) + `}`), `"{\"a\":\"[redacted]\"}"`},
		"JSON, slash escaped": {strings.ReplaceAll(quoted(secretWord), "/", `\/`), `"[redacted]"`},
		"JSON in ASCII":       {strings.ReplaceAll(quoted(secretWord), "é", `\u00E9`), `"[redacted]"`},
		"Go":                  {fmt.Sprintf("%q", secretWord), `"[redacted]"`},
		"in a URL":            {"?a=" + url.QueryEscape(secretWord) + "&b", "?a=[redacted]&b"},
		"in a path":           {"/" + url.PathEscape(secretWord) + "/b", "/[redacted]/b"},
		"HTML":                {"<b>" + html.EscapeString(secretWord) + "</b>", "<b>[redacted]</b>"},
		"a part of it":        {"a " + secretWord[:4] + " b", "a " + secretWord[:4] + " b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := receiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, row.answer) })
			result, err := execute(t, server, fields{}, secrets)
			require.NoError(t, err)
			require.Equal(t, row.want, result.Output)
		})
	}
}

func TestEchoedRequestIsNotShown(t *testing.T) {
	t.Parallel()
	server := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		assert.NoError(t, json.NewEncoder(w).Encode(r.Header))
	})
	result, err := execute(t, server, fields{}, fields{"secretHeaders": fields{"Authorization": "Bearer " + secretWord}})
	require.EqualError(t, err, "answered 401 Unauthorized")
	require.Contains(t, result.Output, `"Authorization":["[redacted]"]`)
	require.Contains(t, result.Output, runID.String(), "what is not secret is shown")
}

func TestSecretThatStraddlesTheCutIsNotShown(t *testing.T) {
	t.Parallel()
	for name, escaped := range map[string]string{"as it is": secretWord, "JSON": quoted(secretWord), "URL": url.QueryEscape(secretWord)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hide := newRedactor(httpSecrets{Headers: map[string]string{"X-Key": secretWord}})
			for before := range len(escaped) + 2 {
				padding := strings.Repeat(".", MaxOutput-before)
				output, isTruncated, err := readOutput(strings.NewReader(padding+escaped+"---"), hide)
				require.NoError(t, err)
				require.True(t, isTruncated)
				require.LessOrEqual(t, len(output), MaxOutput)
				rest := strings.Trim(strings.TrimPrefix(output, padding), `"-`)
				require.True(t, strings.HasPrefix(redacted, rest), "%q is left, cut %d bytes after it began", rest, before)
			}
		})
	}
}

func TestSecretInAnAnswerThatBreaksOffIsNotShown(t *testing.T) {
	t.Parallel()
	url, addr := raw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, ok+"Content-Length: 1000\r\n\r\nkey="+secretWord[:10])
	})
	run := newRun(t, fields{"url": url}, fields{"secretHeaders": fields{"X-Key": secretWord}})
	result, err := executor(t, addr).Execute(t.Context(), run)
	require.EqualError(t, err, "the connection was closed before the answer was complete")
	require.Equal(t, "key=[redacted]", result.Output)
	require.True(t, result.OutputIsTruncated)
}

func TestRedactedTextHasNoSecretWhateverSurroundsIt(t *testing.T) {
	t.Parallel()
	// Few characters, so that secrets overlap with themselves, with each other and with escapes.
	alphabet := rapid.SampledFrom([]rune(`ab\"%u0&;2`))
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringOfN(alphabet, 2, 6, -1).Draw(t, "secret")
		other := rapid.StringOfN(alphabet, 2, 6, -1).Draw(t, "other")
		text := rapid.StringOfN(alphabet, 0, 30, -1).Draw(t, "before") + secret + rapid.StringOfN(alphabet, 0, 30, -1).Draw(t, "after")
		hide := newRedactor(httpSecrets{Headers: map[string]string{"A": secret, "B": other}})
		shown := string(hide.redact([]byte(text), rapid.Bool().Draw(t, "cut")))
		for part := range strings.SplitSeq(shown, redacted) {
			if strings.Contains(part, secret) || strings.Contains(part, other) {
				t.Fatalf("%q shows a secret of %q and %q", shown, secret, other)
			}
		}
	})
}
