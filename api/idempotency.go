package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/internal/access"
	"punctual/internal/idempotency"
)

const idempotencyHeader = "Idempotency-Key"

// idempotent makes requests with an Idempotency-Key safe to repeat, for the operations that have
// this parameter in the contract. Others, and requests without the header, pass by.
func (s *handlers) idempotent(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get(idempotencyHeader)
			if key == "" {
				next.ServeHTTP(w, r)
				return
			}
			op := operation(spec, r)
			if op.Parameters.GetByInAndName(openapi3.ParameterInHeader, idempotencyHeader) == nil {
				next.ServeHTTP(w, r)
				return
			}
			begun, err := s.begin(r, key)
			switch {
			case err != nil:
				errs.failed(w, r, err)
			case begun.Answer != nil:
				answerAgain(w, begun.Answer)
			case begun.Served != nil:
				s.answerAnew(w, r, op, begun.Served, errs)
			default:
				serveOnce(w, r, op, begun.Attempt, next)
			}
		})
	}
}

// begin finds out what is to be done with a request.
func (s *handlers) begin(r *http.Request, key string) (idempotency.Begun, error) {
	body, err := io.ReadAll(r.Body) // checkBody has read it, and bounds it
	if err != nil {
		return idempotency.Begun{}, fmt.Errorf("read the body again: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return s.Idempotency.Begin(r.Context(), access.From(r.Context()), idempotency.Request{
		Key: key, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Body: body,
	})
}

// serveOnce serves a request and stores the answer before the client gets it. The client may leave
// meanwhile: the request is served to its end all the same, so that a repeated one gets the answer.
func serveOnce(w http.ResponseWriter, r *http.Request, op *openapi3.Operation, attempt *idempotency.Attempt, next http.Handler) {
	background := context.WithoutCancel(r.Context())
	ctx, cancel := context.WithTimeout(background, idempotency.ServedWithin)
	defer cancel()
	caller := access.From(ctx)
	caller.RequestID = attempt.ID
	answer := recorder{header: http.Header{}}
	hasEnded := false
	defer func() {
		if !hasEnded { // it panics
			attempt.End(background)
		}
	}()
	next.ServeHTTP(&answer, r.WithContext(access.With(ctx, caller)))
	hasEnded = true
	if isToBeKept(answer.status) {
		attempt.Store(background, answer.toKeep(op))
	} else {
		attempt.End(background)
	}
	answer.sendTo(w)
}

// isToBeKept reports whether a repeated request gets the same answer. It does not after a failure,
// and not after a refusal that has nothing to do with what was asked for.
func isToBeKept(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return false
	default:
		return status < http.StatusInternalServerError
	}
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

// toKeep returns what is stored of the answer: without the body, if that shows what must not be
// stored (x-shown-once).
func (r *recorder) toKeep(op *openapi3.Operation) idempotency.Answer {
	kept := idempotency.Answer{
		Status: r.status, Location: r.header.Get("Location"), ETag: r.header.Get("ETag"), Body: r.body.Bytes(),
	}
	if isShownOnce, _ := op.Extensions["x-shown-once"].(bool); isShownOnce && r.status < http.StatusBadRequest {
		kept.Body = nil
	}
	return kept
}

func (r *recorder) sendTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // an error means that the client has gone
}

// answerAgain gives an answer that was stored.
func answerAgain(w http.ResponseWriter, answer *idempotency.Answer) {
	contentType := "application/json"
	if answer.Status >= http.StatusBadRequest {
		contentType = "application/problem+json"
	}
	w.Header().Set("Content-Type", contentType)
	if answer.Location != "" {
		w.Header().Set("Location", answer.Location)
	}
	if answer.ETag != "" {
		w.Header().Set("ETag", answer.ETag)
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // an error means that the client has gone
}

// answerAnew answers a request whose first answer is not known, by what the audit says that it has
// done, and stores that.
func (s *handlers) answerAnew(w http.ResponseWriter, r *http.Request, op *openapi3.Operation, served *idempotency.Served, errs errorWriter) {
	answer := recorder{header: http.Header{}}
	visit, err := s.rebuild(r.Context(), op.OperationID, served.Entries)
	if err == nil {
		err = visit(&answer)
	}
	if err != nil {
		errs.failed(&answer, r, err)
	}
	if isToBeKept(answer.status) {
		served.Store(context.WithoutCancel(r.Context()), answer.toKeep(op))
	}
	answer.sendTo(w)
}
