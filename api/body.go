package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/gen/server"
)

// checkBody refuses a body that is too large, encoded, of another media type, or not JSON that
// PostgreSQL can store, before anything else reads it. It repairs reports instead.
func checkBody(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body == http.NoBody { // the validator knows whether one is required
				next.ServeHTTP(w, r)
				return
			}
			body, refusal := readBody(w, r, operation(spec, r))
			switch {
			case refusal == nil:
			case refusal.Status == http.StatusServiceUnavailable:
				errs.later(w, *refusal, time.Second)
				return
			default:
				errs.write(w, *refusal)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
}

// readBody returns the body of a request, or the problem because of which it is refused.
func readBody(w http.ResponseWriter, r *http.Request, op *openapi3.Operation) ([]byte, *server.Problem) {
	if op.RequestBody == nil {
		if n, _ := io.ReadFull(r.Body, make([]byte, 1)); n > 0 {
			return nil, badBody(r, "", notAllowed, "this operation takes no body")
		}
		return nil, nil
	}
	limit, list := int64(maxBodyBytes), lists[op.OperationID]
	switch {
	case isReport(op):
		limit = maxReportBytes
	case list != "":
		limit = maxListBytes
	}
	if refusal := checkHeader(r, limit); refusal != nil {
		return nil, refusal
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	switch {
	case errors.Is(err, errBodiesTooLarge):
		return nil, new(problem(r.Context(), overloaded, ""))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, badBody(r, "", wrongFormat, "has not arrived in time")
	}
	if _, isTooLarge := errors.AsType[*http.MaxBytesError](err); isTooLarge {
		return nil, tooLarge(r, limit)
	}
	if err != nil {
		return nil, badBody(r, "", wrongFormat, "cannot be read")
	}
	if len(body) == 0 {
		return nil, nil // the validator knows whether it is required
	}
	var field string
	if isReport(op) {
		body, err = repairReport(op.RequestBody.Value.GetMediaType("application/json").Schema.Value, body)
	} else {
		field, err = checkJSON(body, list)
	}
	if err != nil {
		return nil, badBody(r, field, jsonCode(err), err.Error())
	}
	return wholeNumbers(body), nil
}

// checkHeader returns the problem of a body that is refused because of its header, without being
// read, or nil.
func checkHeader(r *http.Request, limit int64) *server.Problem {
	if r.ContentLength == 0 {
		return nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return badHeader(r, "Content-Encoding", "The body must not be encoded.", "must be identity, or left out")
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		if r.ContentLength < 0 && isEmpty(r) {
			return nil
		}
		return badHeader(r, "Content-Type", "", "must be application/json")
	}
	if r.ContentLength > limit {
		return tooLarge(r, limit)
	}
	return nil
}

// isEmpty reports whether a body of unknown length is empty. What it reads can be read again.
func isEmpty(r *http.Request) bool {
	body := bufio.NewReader(r.Body)
	_, err := body.Peek(1)
	r.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	return err != nil
}

func tooLarge(r *http.Request, limit int64) *server.Problem {
	return new(problem(r.Context(), bodyTooLarge, fmt.Sprintf("The body is larger than %d bytes.", limit)))
}

func badBody(r *http.Request, field, code, detail string) *server.Problem {
	return new(badRequest(r, server.FieldError{In: server.FieldErrorInBody, Field: field, Code: code, Detail: detail}))
}

// badHeader returns the problem of a header that tells how the body is encoded. An empty detail is
// that of the code.
func badHeader(r *http.Request, name, detail, fieldDetail string) *server.Problem {
	return new(problem(r.Context(), unsupportedMediaType, detail, server.FieldError{
		In: server.FieldErrorInHeader, Field: name, Code: notAllowed, Detail: fieldDetail,
	}))
}
