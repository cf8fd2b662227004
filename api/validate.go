package api

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-chi/chi/v5"

	"punctual/gen/server"
)

const (
	maxBodyBytes = 1 << 20
	// maxDepth is how deep a field can be nested. It protects the stack of PostgreSQL's parser, and
	// those of clients.
	maxDepth = 200
)

// uuidPattern matches the only form of a UUID that this API accepts. The library accepts four.
const uuidPattern = `^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`

// formatOptions makes the validator check the formats of texts as this API means them.
var formatOptions = []openapi3.SchemaValidationOption{
	openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(uuidPattern)),
	openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(checkInstant)),
}

// validate refuses requests that openapi.yaml does not allow.
func validate(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	// The library keeps its decoders for the whole process and takes none for a single validator.
	openapi3filter.RegisterBodyDecoder("application/json", decodeJSON)
	options := openapi3filter.Options{
		MultiError: true, // report all errors of a request
		// Setting defaults would rewrite the body, and the bytes of a payload must be kept.
		SkipSettingDefaults: true, SchemaValidationOptions: formatOptions,
	}
	withoutBody := options
	withoutBody.ExcludeRequestBody = true
	schemas := listSchemas(spec, options.SchemaValidationOptions)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			input := &openapi3filter.RequestValidationInput{
				Request: r, PathParams: map[string]string{}, Route: route(spec, r), Options: &options,
			}
			parameters := chi.RouteContext(r.Context()).URLParams
			for i, name := range parameters.Keys {
				value := pathValue(r, parameters.Values[i])
				if value == "" { // chi accepts that
					errs.notFound(w, r)
					return
				}
				input.PathParams[name] = value
			}
			var wrong []server.FieldError
			if list, ok := schemas[input.Route.Operation.OperationID]; ok {
				if body := readAgain(r); len(body) > 0 {
					input.Options, wrong = &withoutBody, list.check(body)
				}
			}
			if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil || len(wrong) > 0 {
				wrong = append(fieldErrors(err), wrong...)
				errs.write(w, badRequest(r, wrong[:min(len(wrong), maxFieldErrors)]...))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// pathValue returns the value of a parameter of the path. chi matches the path as it was sent if it
// has a slash that belongs to a value (%2F), and then its values are encoded.
func pathValue(r *http.Request, value string) string {
	if r.URL.RawPath == "" {
		return value
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return value // net/url has refused such a path
	}
	return decoded
}

// route returns what a request calls, as chi has found it. The library's own routers look for it
// again.
func route(spec *openapi3.T, r *http.Request) *routers.Route {
	path := patternOf(r)
	item := spec.Paths.Value(path)
	return &routers.Route{
		Spec: spec, Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method),
	}
}

// checkInstant refuses an instant that cannot be decoded, such as a leap second, which the library
// accepts, and one that could not be encoded: its year in UTC must be 1 to 9999. The detail for
// users is in formats.
func checkInstant(text string) error {
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return errors.New("year out of range")
	}
	return nil
}

// checkQuery refuses a query that the validator would accept although it cannot be decoded, or has
// a parameter that is unknown (probably misspelt) or given twice.
func checkQuery(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "" {
				next.ServeHTTP(w, r)
				return
			}
			if wrong := queryErrors(r.URL.RawQuery, operation(spec, r).Parameters); len(wrong) > 0 {
				errs.write(w, badRequest(r, wrong[:min(len(wrong), maxFieldErrors)]...))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func queryErrors(raw string, known openapi3.Parameters) (wrong []server.FieldError) {
	add := func(name, code, detail string) {
		wrong = append(wrong, server.FieldError{
			In: server.FieldErrorInQuery, Field: strings.ToValidUTF8(name, "\uFFFD"), Code: code, Detail: detail,
		})
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		add("", wrongFormat, "cannot be decoded")
		return wrong
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case known.GetByInAndName(openapi3.ParameterInQuery, name) == nil:
			add(name, unknownField, "there is no such parameter")
		case len(query[name]) > 1:
			add(name, notUnique, "is given more than once")
		case !utf8.ValidString(query.Get(name)):
			add(name, wrongFormat, "is not valid UTF-8")
		}
	}
	return wrong
}

// operation returns the operation that a request calls.
func operation(spec *openapi3.T, r *http.Request) *openapi3.Operation {
	return spec.Paths.Value(patternOf(r)).GetOperation(r.Method)
}

func badRequest(r *http.Request, errs ...server.FieldError) server.Problem {
	return problem(r.Context(), invalidRequest, "", errs...)
}

// decodeJSON decodes a body for the validator, which compares numbers as float64. A number that is
// too large for one becomes the largest float64.
func decodeJSON(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
	var value any
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, &openapi3filter.ParseError{Kind: openapi3filter.KindInvalidFormat, Cause: err}
	}
	return clamped(value), nil
}

func clamped(value any) any {
	switch v := value.(type) {
	case json.Number:
		if f, err := v.Float64(); err != nil {
			return max(min(f, math.MaxFloat64), -math.MaxFloat64)
		}
	case map[string]any:
		for name := range v {
			v[name] = clamped(v[name])
		}
	case []any:
		for i := range v {
			v[i] = clamped(v[i])
		}
	}
	return value
}
