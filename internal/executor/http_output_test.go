package executor

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutputCanBeStored(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer, want string
		isTruncated  bool
	}{
		"empty":                {},
		"NUL":                  {answer: "a\x00b", want: "a\uFFFDb"},
		"no UTF-8":             {answer: "a\xff\xfeb", want: "a\uFFFDb"},
		"as much as is kept":   {answer: strings.Repeat("a", MaxOutput), want: strings.Repeat("a", MaxOutput)},
		"one more":             {answer: strings.Repeat("a", MaxOutput+1), want: strings.Repeat("a", MaxOutput), isTruncated: true},
		"much more":            {answer: strings.Repeat("a", 3*MaxOutput), want: strings.Repeat("a", MaxOutput), isTruncated: true},
		"cut in a character":   {answer: "a" + strings.Repeat("é", MaxOutput), want: "a" + strings.Repeat("é", MaxOutput/2-1), isTruncated: true},
		"longer when replaced": {answer: strings.Repeat("\x00", MaxOutput), want: strings.Repeat("\uFFFD", MaxOutput/3), isTruncated: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := receiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(row.answer)) })
			result, err := execute(t, server, fields{}, nil)
			require.NoError(t, err)
			assert.Equal(t, row.want, result.Output)
			assert.Equal(t, row.isTruncated, result.OutputIsTruncated, "whether there was more")
		})
	}
}

// The status decides, however long the body is that does not end.
func TestBodyThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		length      string
		size        int
		want        string
		breaksOff   bool
		attemptTime time.Duration
	}{
		"short":                        {size: 10, want: strings.Repeat("a", 10)},
		"short, with a length":         {length: "Content-Length: 1000\r\n", size: 10, want: strings.Repeat("a", 10)},
		"longer than what is kept":     {size: 5000, want: strings.Repeat("a", MaxOutput)},
		"of nothing":                   {},
		"breaks off":                   {length: "Content-Length: 1000\r\n", size: 10, want: strings.Repeat("a", 10), breaksOff: true},
		"and the attempt's time is up": {size: 10, want: strings.Repeat("a", 10), attemptTime: 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, addr := raw(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, ok+row.length+"\r\n"+strings.Repeat("a", row.size))
				if !row.breaksOff {
					_, _ = conn.Read(make([]byte, 1)) // until the other end closes
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(row.attemptTime, time.Minute))
			defer cancel()
			began := time.Now()
			result, err := executor(t, addr).Execute(ctx, newRun(t, fields{"url": url}, nil))
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, result.StatusCode)
			assert.Equal(t, row.want, result.Output)
			assert.True(t, result.OutputIsTruncated)
			assert.Less(t, time.Since(began), 30*time.Second, "it is not waited for")
		})
	}
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func deflated(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestOutputIsDecoded(t *testing.T) {
	t.Parallel()
	const text, unknown = "Grüße, 100 €", "[the body is encoded in a way that cannot be shown]"
	latin := "Gr\xfc\xdfe, 100 \x80"
	for name, row := range map[string]struct {
		encoding, contentType string
		body                  []byte
		want                  string
		isTruncated           bool
	}{
		"gzip":               {encoding: "gzip", body: gzipped(t, text), want: text},
		"GZIP":               {encoding: "GZIP", body: gzipped(t, text), want: text},
		"deflate":            {encoding: "deflate", body: deflated(t, text), want: text},
		"gzip and a charset": {encoding: "gzip", contentType: "text/plain; charset=windows-1252", body: gzipped(t, latin), want: text},
		"gzip, cut":          {encoding: "gzip", body: gzipped(t, strings.Repeat("a", 3*MaxOutput)), want: strings.Repeat("a", MaxOutput), isTruncated: true},
		"gzip, broken":       {encoding: "gzip", body: gzipped(t, text)[:12], want: "G", isTruncated: true},
		"gzip of nothing":    {encoding: "gzip", body: []byte{}, want: ""},
		"not gzip":           {encoding: "gzip", body: []byte(text), want: unknown, isTruncated: true},
		"br":                 {encoding: "br", body: []byte{0x0b, 0x02, 0x80}, want: unknown, isTruncated: true},
		"identity":           {encoding: "identity", body: []byte(text), want: text},
		"ISO-8859-1":         {contentType: "text/plain; charset=ISO-8859-1", body: []byte("Gr\xfc\xdfe"), want: "Grüße"},
		"Windows-1252":       {contentType: `text/html; charset="windows-1252"`, body: []byte(latin), want: text},
		"UTF-16":             {contentType: "text/plain; charset=utf-16", body: []byte("\xfe\xff\x00a\x20\xac"), want: "a€"},
		"UTF-16LE":           {contentType: "text/plain; charset=utf-16le", body: []byte("a\x00\xac\x20"), want: "a€"},
		"Shift_JIS":          {contentType: "text/plain; charset=Shift_JIS", body: []byte("\x93\xfa\x96{"), want: "日本"},
		"UTF-8":              {contentType: "text/plain; charset=UTF-8", body: []byte(text + "\xff"), want: text + "\uFFFD"},
		"an unknown charset": {contentType: "text/plain; charset=nope", body: []byte(text), want: text},
		"no media type":      {contentType: ";;", body: []byte(text), want: text},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", row.encoding)
				w.Header().Set("Content-Type", row.contentType)
				_, _ = w.Write(row.body)
			})
			result, err := execute(t, server, fields{}, nil)
			require.NoError(t, err)
			assert.Equal(t, row.want, result.Output)
			assert.Equal(t, row.isTruncated, result.OutputIsTruncated)
		})
	}
}

func TestAnswerToHEADHasNoOutput(t *testing.T) {
	t.Parallel()
	server := receiver(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") })
	result, err := execute(t, server, fields{"method": "HEAD"}, nil)
	require.NoError(t, err)
	require.Empty(t, result.Output)
	require.False(t, result.OutputIsTruncated)
}

func TestSecretInACompressedBodyIsNotShown(t *testing.T) {
	t.Parallel()
	server := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipped(t, "key="+secretWord))
	})
	result, err := execute(t, server, fields{}, fields{"secretHeaders": fields{"X-Key": secretWord}})
	require.NoError(t, err)
	require.Equal(t, "key="+redacted, result.Output)
}
