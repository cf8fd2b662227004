package idempotency

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"sync"

	"punctual/gen/db"
)

// Request is what a key stands for.
type Request struct {
	// Key is the text that the client has chosen.
	Key          string
	Method, Path string
	Query        url.Values
	Body         []byte
}

// digests returns what is stored of the key and of the request. A body may contain secrets, which
// nobody is to find by trying: so its digest needs the key, of which only a digest is stored.
func (r Request) digests() (key, request []byte) {
	digest := sha256.Sum256([]byte(r.Key))
	mac := hmac.New(sha256.New, []byte(r.Key))
	for _, part := range []string{r.Method, r.Path, r.Query.Encode()} {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(part), part) // a hash returns no error
	}
	_, _ = mac.Write(r.Body)
	return digest[:], mac.Sum(nil)
}

// maxBody is how large a body is stored at most, after its compression. The answer of a larger one
// is made anew for a repeated request.
const maxBody = 2 << 20

// minPacked is from which size on a body is compressed. The answer of a single thing is smaller,
// and a compressor costs more than it saves there.
const minPacked = 8 << 10

// packers are compressors that can be used again: each takes a megabyte.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // an error means that there is no such level
	return w
}}

// gzipMagic is what a compressed body begins with, and no JSON.
var gzipMagic = []byte{0x1f, 0x8b}

// Answer is the answer of a request.
type Answer struct {
	Status int
	// Location and ETag are headers. Empty: the answer does not have them.
	Location, ETag string
	// Body is nil if it must not be stored.
	Body []byte
}

func (a Answer) params() (db.StoreAnswerParams, error) {
	params := db.StoreAnswerParams{Status: new(int16(a.Status))}
	if a.Location != "" {
		params.Location = &a.Location
	}
	if a.ETag != "" {
		params.Etag = &a.ETag
	}
	if a.Body == nil {
		return params, nil
	}
	if len(a.Body) < minPacked {
		params.Body = a.Body
		return params, nil
	}
	var packed bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(a.Body); err != nil {
		return params, err
	}
	if err := w.Close(); err != nil {
		return params, err
	}
	if packed.Len() <= maxBody {
		params.Body = packed.Bytes()
	}
	return params, nil
}

func newAnswer(row *db.GetIdempotentRow) (*Answer, error) {
	answer := &Answer{Status: int(*row.Status), Body: row.Body}
	if bytes.HasPrefix(row.Body, gzipMagic) {
		unpacked, err := gzip.NewReader(bytes.NewReader(row.Body))
		if err == nil {
			answer.Body, err = io.ReadAll(unpacked)
		}
		if err != nil {
			return nil, fmt.Errorf("read a stored answer: %w", err)
		}
	}
	if row.Location != nil {
		answer.Location = *row.Location
	}
	if row.Etag != nil {
		answer.ETag = *row.Etag
	}
	return answer, nil
}
