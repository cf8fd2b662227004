package executor

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

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
				output, isTruncated := readOutput(nil, strings.NewReader(padding+escaped+strings.Repeat("-", 2*MaxOutput)), hide)
				require.True(t, isTruncated)
				require.LessOrEqual(t, len(output), MaxOutput)
				rest := strings.Trim(strings.TrimPrefix(output, padding), `"-`)
				require.True(t, strings.HasPrefix(redacted, rest), "%q is left, cut %d bytes after it began", rest, before)
			}
		})
	}
}

// An answer may echo a guess just before its end. What is shown must not reveal whether it is
// right.
func TestCutAnswerDoesNotTellHowASecretBegins(t *testing.T) {
	t.Parallel()
	hide := newRedactor(httpSecrets{Headers: map[string]string{"X-Key": secretWord}})
	for name, more := range map[string]string{"broken off": "", "too long": strings.Repeat("-", 2*MaxOutput)} {
		for _, before := range []int{0, 10, 300, MaxOutput - 5, MaxOutput - 1} {
			show := func(guess string) string {
				body := io.MultiReader(strings.NewReader(strings.Repeat(".", before)+guess+more), iotest.ErrReader(io.ErrUnexpectedEOF))
				output, isTruncated := readOutput(nil, body, hide)
				require.True(t, isTruncated)
				return strings.Trim(output, "x7-")
			}
			require.Equal(t, show("x"), show("7"), "%s after %d bytes", name, before)
			require.Equal(t, show("x7"), show("7x"), "%s after %d bytes", name, before)
		}
	}
}

func TestSecretInAnAnswerThatBreaksOffIsNotShown(t *testing.T) {
	t.Parallel()
	const begin = "the beginning is shown, and "
	url, addr := raw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, ok+"Content-Length: 1000\r\n\r\n"+begin+strings.Repeat("-", 3*len(secretWord)-10)+secretWord[:10])
	})
	run := newRun(t, fields{"url": url}, fields{"secretHeaders": fields{"X-Key": secretWord}})
	result, err := executor(t, addr).Execute(t.Context(), run)
	require.NoError(t, err, "the status decides")
	require.Equal(t, begin, result.Output)
	require.True(t, result.OutputIsTruncated)
}

func TestPartsOfCredentialsAreNotShown(t *testing.T) {
	t.Parallel()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("robot:pass:word"))
	for name, row := range map[string]struct{ value, answer, want string }{
		"password of Basic":      {basic, "<pass:word>", "<[redacted]>"},
		"user and password":      {basic, "robot:pass:word", "[redacted]"},
		"the user alone":         {basic, "robot", "robot"},
		"Basic, encoded":         {basic, strings.TrimPrefix(basic, "Basic "), "[redacted]"},
		"one cookie of several":  {"theme=dark; session=a1b2c3d4; x=1", "you are a1b2c3d4", "you are [redacted]"},
		"a short cookie":         {"theme=dark; session=a1b2c3d4; x=1", "1", "1"},
		"a value with its name":  {"key=a1b2c3d4", "a1b2c3d4", "[redacted]"},
		"a value in quotes":      {`Digest username="me", response="a1b2c3d4"`, "a1b2c3d4", "[redacted]"},
		"a value after a scheme": {"ApiKey key=a1b2c3d4", "a1b2c3d4", "[redacted]"},
		"a token in any case":    {"bearer a1b2c3d4", "A1B2C3D4 a1b2c3d4", "A1B2C3D4 [redacted]"},
		"as in a form":           {"my s+cret & word", "key=my+s%2Bcret+%26+word", "key=[redacted]"},
		"not base64 after all":   {"Basic ???", "Basic ???", "[redacted]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hide := newRedactor(httpSecrets{Headers: map[string]string{"Authorization": row.value}})
			require.Equal(t, row.want, hide.redact(row.answer, len(row.answer)))
		})
	}
}

// BenchmarkRedact redacts answers that are chosen to take long, with the most secrets that a target
// can have.
func BenchmarkRedact(b *testing.B) {
	headers := map[string]string{}
	for i := range 50 {
		headers[fmt.Sprint("X-", i)] = strings.Repeat("a", 8192-i)
	}
	hide := newRedactor(httpSecrets{Headers: headers})
	for name, text := range map[string]string{
		"4 KiB":                   strings.Repeat("a", MaxOutput),
		"as much as is read":      strings.Repeat("a", MaxOutput+hide.margin),
		"nearly, again and again": strings.Repeat(strings.Repeat("a", 8000)+"b", 1+(MaxOutput+hide.margin)/8001),
		"escaped":                 strings.Repeat("%2561", (MaxOutput+hide.margin)/5),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				hide.redact(text, len(text))
			}
		})
	}
}

func TestRedactedTextHasNoSecretWhateverSurroundsIt(t *testing.T) {
	t.Parallel()
	// There are few characters, so that secrets overlap with themselves, each other and escapes.
	alphabet := rapid.SampledFrom([]rune(`ab\"%u0&;2`))
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringOfN(alphabet, 2, 6, -1).Draw(t, "secret")
		other := rapid.StringOfN(alphabet, 2, 6, -1).Draw(t, "other")
		text := rapid.StringOfN(alphabet, 0, 30, -1).Draw(t, "before") + secret + rapid.StringOfN(alphabet, 0, 30, -1).Draw(t, "after")
		hide := newRedactor(httpSecrets{Headers: map[string]string{"A": secret, "B": other}})
		shown := hide.redact(text, rapid.IntRange(0, len(text)).Draw(t, "end"))
		for part := range strings.SplitSeq(shown, redacted) {
			if strings.Contains(part, secret) || strings.Contains(part, other) {
				t.Fatalf("%q shows a secret of %q and %q", shown, secret, other)
			}
		}
	})
}
