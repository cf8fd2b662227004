package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/gen/server"
)

// checkBody refuses a body that is too large, encoded, of another media type, or not JSON that
// PostgreSQL can store, before anything else reads it. It repairs reports instead.
func checkBody(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			op := operation(spec, r)
			if op.RequestBody == nil {
				if n, _ := io.ReadFull(r.Body, make([]byte, 1)); n > 0 {
					errs.write(w, badRequest(r, server.FieldError{
						In: server.FieldErrorInBody, Code: notAllowed, Detail: "this operation takes no body",
					}))
					return
				}
				r.Body = http.NoBody
				next.ServeHTTP(w, r)
				return
			}
			body, p, refused := readBody(w, r, op)
			if refused {
				errs.write(w, p)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
}

// readBody returns the body of a request, or the problem for which it is refused.
func readBody(w http.ResponseWriter, r *http.Request, op *openapi3.Operation) (body []byte, p server.Problem, refused bool) {
	limit := int64(maxBodyBytes)
	if isReport(op) {
		limit = maxReportBytes
	}
	if p, refused = refuseBody(r, limit); refused {
		return nil, p, true
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, isTooLarge := errors.AsType[*http.MaxBytesError](err); isTooLarge {
		return nil, tooLarge(r, limit), true
	}
	if err != nil {
		return nil, badRequest(r, server.FieldError{In: server.FieldErrorInBody, Code: wrongFormat, Detail: "cannot be read"}), true
	}
	if len(body) == 0 {
		return body, p, false
	}
	var field string
	if isReport(op) {
		body, err = repairReport(op.RequestBody.Value.GetMediaType("application/json").Schema.Value, body)
	} else {
		field, err = checkJSON(body)
	}
	if err != nil {
		return nil, badRequest(r, server.FieldError{
			In: server.FieldErrorInBody, Field: field, Code: jsonCode(err), Detail: err.Error(),
		}), true
	}
	return wholeNumbers(body), p, false
}

// refuseBody returns the problem of a body that is refused because of its header, so that it need not
// be read.
func refuseBody(r *http.Request, limit int64) (p server.Problem, refused bool) {
	if r.ContentLength == 0 {
		return p, false
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return problem(r.Context(), unsupportedMediaType, "The body must not be encoded.", server.FieldError{
			In: server.FieldErrorInHeader, Field: "Content-Encoding", Code: notAllowed, Detail: "must be identity, or left out",
		}), true
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		if r.ContentLength < 0 && isEmpty(r) {
			return p, false
		}
		return problem(r.Context(), unsupportedMediaType, "", server.FieldError{
			In: server.FieldErrorInHeader, Field: "Content-Type", Code: notAllowed, Detail: "must be application/json",
		}), true
	}
	if r.ContentLength > limit {
		return tooLarge(r, limit), true
	}
	return p, false
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

func tooLarge(r *http.Request, limit int64) server.Problem {
	return problem(r.Context(), bodyTooLarge, fmt.Sprintf("The body is larger than %d bytes.", limit))
}
