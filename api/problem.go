package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"punctual/gen/server"
	"punctual/internal/database"
)

// problem returns a problem of the given status, with what the client can do about it.
func problem(ctx context.Context, status int, detail string, errs ...server.FieldError) server.Problem {
	p := server.Problem{Type: "about:blank", Title: http.StatusText(status), Status: int32(status), Detail: detail}
	if id := requestID(ctx); id != "" {
		p.RequestId = &id
	}
	if len(errs) > 0 {
		p.Errors = &errs
	}
	return p
}

// notValid returns the problem of a request whose named fields are at fault.
func notValid(ctx context.Context, errs ...server.FieldError) server.BadRequestApplicationProblemPlusJSONResponse {
	return server.BadRequestApplicationProblemPlusJSONResponse(
		problem(ctx, http.StatusBadRequest, "The request is not valid.", errs...))
}

// notFound returns the problem of a path that names nothing there is.
func notFound(ctx context.Context, noun string) server.NotFoundApplicationProblemPlusJSONResponse {
	return server.NotFoundApplicationProblemPlusJSONResponse(
		problem(ctx, http.StatusNotFound, "There is no "+noun+" with this id."))
}

// errorWriter is where an error becomes an answer; nothing else writes one. A client sees no internal text.
type errorWriter struct{ log *slog.Logger }

func (e errorWriter) write(w http.ResponseWriter, p server.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(int(p.Status))
	if err := json.NewEncoder(w).Encode(p); err != nil {
		e.log.Debug("answer not written", "error", err) // the client has gone
	}
}

// invalid answers a request that is not as the contract says.
func (e errorWriter) invalid(w http.ResponseWriter, r *http.Request, err error) {
	e.write(w, problem(r.Context(), http.StatusBadRequest, "The request is not valid.", fieldErrors(err)...))
}

// failed answers a request that could not be served though there is nothing wrong with it.
func (e errorWriter) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		e.log.DebugContext(r.Context(), "client has gone", "error", err)
		return
	}
	if detail, ok := troubles[database.Diagnose(err)]; ok {
		e.log.WarnContext(r.Context(), "request answered with 503 because of the database", "error", err)
		w.Header().Set("Retry-After", "1")
		e.write(w, problem(r.Context(), http.StatusServiceUnavailable, detail))
		return
	}
	e.log.ErrorContext(r.Context(), "request failed", "error", err)
	e.write(w, problem(r.Context(), http.StatusInternalServerError, "The service failed. The request id leads to the log."))
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
	e.write(w, problem(r.Context(), http.StatusNotFound, "There is nothing at this path."))
}

func (e errorWriter) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	methods := allowed(r)
	if methods == "" {
		e.notFound(w, r)
		return
	}
	w.Header().Set("Allow", methods)
	e.write(w, problem(r.Context(), http.StatusMethodNotAllowed, "This path takes "+methods+"."))
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
				e.write(w, problem(r.Context(), http.StatusInternalServerError,
					"The service failed. The request id leads to the log."))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// maxFieldErrors is how many fields a refusal names: a request may be wrong in more ways than an answer should be long.
const maxFieldErrors = 100

// fieldErrors names the fields at fault in what the validator or the generated code found.
func fieldErrors(err error) []server.FieldError {
	var (
		request   *openapi3filter.RequestError
		parameter *server.InvalidParamFormatError
		mistyped  *json.UnmarshalTypeError
	)
	//nolint:errorlint // As it is: what it wraps may be many as well, and then the request it is of would be lost.
	if many, ok := err.(openapi3.MultiError); ok {
		var all []server.FieldError
		for _, each := range many {
			all = append(all, fieldErrors(each)...)
		}
		return all[:min(len(all), maxFieldErrors)]
	}
	switch {
	case errors.As(err, &request):
		return requestFieldErrors(request)
	case errors.As(err, &parameter):
		return []server.FieldError{{In: server.FieldErrorInPath, Field: parameter.ParamName, Detail: "has the wrong format"}}
	case errors.As(err, &mistyped):
		return []server.FieldError{{In: server.FieldErrorInBody, Field: mistyped.Field, Detail: "must be of type " + mistyped.Type.String()}}
	default:
		return nil
	}
}

func requestFieldErrors(err *openapi3filter.RequestError) []server.FieldError {
	if err.Parameter != nil {
		return schemaErrors(err.Err, server.FieldErrorIn(err.Parameter.In), err.Parameter.Name)
	}
	return schemaErrors(err.Err, server.FieldErrorInBody, "")
}

// schemaErrors flattens what is wrong with a value. Its texts come from the schema, never from the value.
func schemaErrors(err error, in server.FieldErrorIn, field string) []server.FieldError {
	var (
		many   openapi3.MultiError
		schema *openapi3.SchemaError
		parse  *openapi3filter.ParseError
	)
	switch {
	case errors.As(err, &many): // also what is wrong with the variant of a union that the value says it is
		var all []server.FieldError
		for _, each := range many {
			all = append(all, schemaErrors(each, in, field)...)
		}
		return slices.Compact(all) // what is none of the variants is refused by each
	case errors.As(err, &schema):
		return []server.FieldError{schemaFieldError(schema, in, field)}
	case errors.As(err, &parse):
		return []server.FieldError{{In: in, Field: field, Detail: cmp.Or(parse.Reason, "has the wrong type")}}
	default:
		return []server.FieldError{{In: in, Field: field, Detail: err.Error()}}
	}
}

// formats says what a text has to be, where the library would show an expression.
var formats = map[string]string{
	"date-time": "must be an instant of RFC 3339 in the years 1 to 9999 of UTC, such as 2030-01-31T09:30:00Z",
	"uuid":      "must be a UUID, such as 0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e",
}

func schemaFieldError(err *openapi3.SchemaError, in server.FieldErrorIn, field string) server.FieldError {
	path := append(strings.FieldsFunc(field, func(r rune) bool { return r == '.' }), err.JSONPointer()...)
	detail := err.Reason
	if name, ok := unknownProperty(err); ok {
		path = append(path, name)
	}
	switch err.SchemaField {
	case "discriminator": // it says of the whole what is wrong with the one field
		path = append(path, err.Schema.Discriminator.PropertyName)
		detail = "must be one of " + strings.Join(slices.Sorted(maps.Keys(err.Schema.Discriminator.Mapping)), ", ")
	case "maximum": // which it may show as 1e+09
		detail = "number must be at most " + strconv.FormatFloat(*err.Schema.Max, 'f', -1, 64)
	case "format":
		detail = cmp.Or(formats[err.Schema.Format], detail)
	}
	return server.FieldError{In: in, Field: strings.Join(path, "."), Detail: detail}
}

// unknownProperty returns the name of a property that the schema does not have, which stands in the reason only.
func unknownProperty(err *openapi3.SchemaError) (name string, ok bool) {
	quoted, ok := strings.CutPrefix(err.Reason, "property ")
	if !ok {
		return "", false
	}
	if quoted, ok = strings.CutSuffix(quoted, " is unsupported"); !ok {
		return "", false
	}
	name, unquoted := strconv.Unquote(quoted)
	return name, unquoted == nil
}
