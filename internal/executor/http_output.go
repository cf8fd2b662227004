package executor

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"punctual/internal/sanitize"
)

// maxEncoded bounds, in bytes, how much is read of a compressed body: one that never decompresses to anything has to end.
const maxEncoded = 256 << 10

// readOutput reads the beginning of an answer's body and returns what is kept of it. isTruncated reports whether there was
// more: because the body is long, broke off, or was not complete when the request's context ended.
func readOutput(resp *http.Response, hide redactor) (output string, isTruncated bool) {
	body, err := decode(resp)
	if err != nil {
		return err.Error(), true
	}
	limit := MaxOutput + hide.margin
	text, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	isTruncated = err != nil || len(text) > limit
	end := len(text)
	if isTruncated {
		// A secret that begins here may not end within the text. How much is left out does not depend on what is in it:
		// otherwise an answer that echoes guesses would tell how a secret begins.
		end = max(min(end, limit)-hide.margin, 0)
	}
	output, isCut := sanitize.Text(hide.redact(string(text), end), MaxOutput)
	return output, isTruncated || isCut
}

var errEncoding = errors.New("[the body is encoded in a way that cannot be shown]")

// noBody is for a body that cannot be decompressed. An answer to HEAD says how its body would be encoded, and has none.
func noBody(err error) (io.Reader, error) {
	if errors.Is(err, io.EOF) {
		return http.NoBody, nil
	}
	return nil, errEncoding
}

// decode returns an answer's body as UTF-8, without its compression, which no request asks for. The error is for users.
func decode(resp *http.Response) (io.Reader, error) {
	var body io.Reader = resp.Body
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		unzipped, err := gzip.NewReader(io.LimitReader(body, maxEncoded))
		if err != nil {
			return noBody(err)
		}
		body = unzipped
	case "deflate":
		inflated, err := zlib.NewReader(io.LimitReader(body, maxEncoded))
		if err != nil {
			return noBody(err)
		}
		body = inflated
	default:
		return nil, errEncoding
	}
	_, parameters, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // with an error there are none
	charset, err := htmlindex.Get(parameters["charset"])
	if err != nil || charset == unicode.UTF8 {
		return body, nil // an unknown one is taken for UTF-8, as is none
	}
	return transform.NewReader(body, unicode.BOMOverride(charset.NewDecoder())), nil
}
