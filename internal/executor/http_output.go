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

// maxEncoded is how much of a compressed body is read, in bytes. It ends a body that decompresses
// to nothing.
const maxEncoded = 256 << 10

// readOutput reads the beginning of the body and returns what is kept of it. isTruncated reports
// whether something is missing: the body is too long, broke off, or had not ended when the context
// of the request ended.
func readOutput(header http.Header, body io.Reader, hide redactor) (output string, isTruncated bool) {
	body, err := decode(header, body)
	if err != nil {
		return err.Error(), true
	}
	limit := MaxOutput + hide.margin
	text, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	isTruncated = err != nil || len(text) > limit
	end := len(text)
	if isTruncated {
		// A secret may begin in the last bytes and end after them. How many bytes are left out does
		// not depend on the text: otherwise an answer that echoes guesses would reveal how a secret
		// begins.
		end = max(min(end, limit)-hide.margin, 0)
	}
	output, isCut := sanitize.Text(hide.redact(string(text), end), MaxOutput)
	return output, isTruncated || isCut
}

var errEncoding = errors.New("[the body is encoded in a way that cannot be shown]")

// noBody returns the body to use when decompressing failed with err. An answer to HEAD names an
// encoding and has no body.
func noBody(err error) (io.Reader, error) {
	if errors.Is(err, io.EOF) {
		return http.NoBody, nil
	}
	return nil, errEncoding
}

// decode returns the body of an answer, decompressed and in UTF-8. Some servers compress although
// the request does not ask for it. Users read the error.
func decode(header http.Header, body io.Reader) (io.Reader, error) {
	switch encoding := strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding"))); encoding {
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
	_, parameters, _ := mime.ParseMediaType(header.Get("Content-Type")) // with an error there are none
	charset, err := htmlindex.Get(parameters["charset"])
	if err != nil || charset == unicode.UTF8 {
		return body, nil // an unknown one is taken for UTF-8, as is none
	}
	return transform.NewReader(body, unicode.BOMOverride(charset.NewDecoder())), nil
}
