package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"

	"punctual/gen/server"
	"punctual/internal/database"
	"punctual/internal/jobs"
)

// errorWriter is where an error becomes an answer; nothing else writes one. A client sees no
// internal text.
type errorWriter struct{ log *slog.Logger }

func (e errorWriter) write(w http.ResponseWriter, p server.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	switch jobs.Code(p.Code) {
	case credentialsRequired:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case credentialsInvalid: // RFC 6750
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	default: // credentials would not help
	}
	w.WriteHeader(int(p.Status))
	if err := json.NewEncoder(w).Encode(p); err != nil {
		e.log.Debug("answer not written", "error", err) // the client has gone
	}
}

// invalid answers a request that is not as the contract says.
func (e errorWriter) invalid(w http.ResponseWriter, r *http.Request, err error) {
	e.write(w, problem(r.Context(), invalidRequest, "", fieldErrors(err)...))
}

// failed answers a request that ended with an error. It ends the connection if the client has gone:
// a client that sends no more may still read, and must not take an empty answer for success.
func (e errorWriter) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		e.log.DebugContext(r.Context(), "client has gone", "error", err)
		panic(http.ErrAbortHandler)
	}
	if tooMany, ok := errors.AsType[errTooMany](err); ok {
		e.later(w, problem(r.Context(), tooManyRequests, ""), tooMany.wait)
		return
	}
	p, isExpected := problemOf(r.Context(), err)
	if changed, ok := errors.AsType[*jobs.VersionChanged](err); ok && changed.Current > 0 {
		w.Header().Set("ETag", etag(changed.Current))
	}
	if exists, ok := errors.AsType[*jobs.Exists](err); ok {
		w.Header().Set("ETag", etag(exists.Current))
	}
	switch {
	case p.Status == http.StatusServiceUnavailable:
		e.log.WarnContext(r.Context(), "request answered with 503, because something it needs cannot be reached", "error", err)
		w.Header().Set("Retry-After", "1")
	case p.Status == http.StatusUnauthorized: // the client is not told why
		e.log.DebugContext(r.Context(), "credentials refused", "error", err)
	case !isExpected:
		e.log.ErrorContext(r.Context(), "request failed", "error", err)
	}
	e.write(w, p)
}

// troubles explains the states of the database in which a request cannot be served. The client may
// try again.
var troubles = map[database.Trouble]string{
	database.Unavailable: "The database cannot be reached. Try again.",
	database.Overloaded:  "The database is overloaded, or did not answer in time. Try again.",
	database.ReadOnly:    "The database is read-only at the moment. Try again.",
	database.Full:        "The database's disk is full. Try again when its operator has made space.",
}

func (e errorWriter) notFound(w http.ResponseWriter, r *http.Request) {
	e.write(w, problem(r.Context(), pathNotFound, ""))
}

func (e errorWriter) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	methods := allowed(r)
	if methods == "" {
		e.notFound(w, r)
		return
	}
	e.notAllowed(w, r, methods)
}

// notAllowed answers a method that a path does not take. methods are those that it takes.
func (e errorWriter) notAllowed(w http.ResponseWriter, r *http.Request, methods string) {
	w.Header().Set("Allow", methods)
	e.write(w, problem(r.Context(), methodNotAllowed, "This path takes "+methods+"."))
}

func (e errorWriter) recoverPanic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch reason := recover(); reason {
			case nil:
			case http.ErrAbortHandler:
				panic(reason)
			default:
				e.log.ErrorContext(r.Context(), "handler panicked", "panic", reason, "stack", string(debug.Stack()))
				e.write(w, problem(r.Context(), internalError, ""))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
