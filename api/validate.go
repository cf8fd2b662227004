package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/go-chi/chi/v5"
	nethttpmiddleware "github.com/oapi-codegen/nethttp-middleware"

	"punctual/gen/server"
)

const (
	maxBodyBytes = 1 << 20
	// maxDepth bounds how deep JSON may be nested: PostgreSQL's parser has a stack, and so has everybody's. It is what a
	// payload may have, and the object around it.
	maxDepth = 200 + 1
)

// uuidPattern is the one form of a UUID that this API takes; the library behind it takes four.
const uuidPattern = `^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`

// validate holds requests to the bounds of openapi.yaml, which stand nowhere else.
func validate(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	// The library keeps its decoders for the whole process and takes none for a single validator.
	openapi3filter.RegisterBodyDecoder("application/json", decodeJSON)
	return nethttpmiddleware.OapiRequestValidatorWithOptions(spec, &nethttpmiddleware.Options{
		Options: openapi3filter.Options{
			MultiError: true, // all that is wrong at once
			// It would write a body anew that leaves something open, and a payload is stored to the byte.
			SkipSettingDefaults: true,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{
				openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(uuidPattern)),
				openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(checkInstant)),
			},
		},
		// The handler decodes the body as it came: a payload is stored to the byte.
		DiscardValidatedValue: true,
		ErrorHandlerWithOpts: func(_ context.Context, err error, w http.ResponseWriter, r *http.Request, at nethttpmiddleware.ErrorHandlerOpts) {
			if at.MatchedRoute == nil { // chi takes an empty segment for a parameter, the contract does not
				errs.notFound(w, r)
				return
			}
			errs.invalid(w, r, err)
		},
	})
}

// checkInstant refuses what cannot be decoded, such as a leap second, which the library lets pass, and what could not be written
// again: a year that in UTC has not four digits, or is none. What is said of it is in formats.
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

// checkQuery refuses what the validator passes over: a query that cannot be decoded, and a parameter that is unknown,
// mostly a known one misspelt, or given twice.
func checkQuery(spec *openapi3.T, errs errorWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil {
				errs.write(w, badRequest(r, server.FieldError{In: server.FieldErrorInQuery, Code: wrongFormat, Detail: "cannot be decoded"}))
				return
			}
			known := operation(spec, r).Parameters
			var wrong []server.FieldError
			for name, values := range query {
				switch {
				case known.GetByInAndName(openapi3.ParameterInQuery, name) == nil:
					wrong = append(wrong, server.FieldError{
						In: server.FieldErrorInQuery, Field: strings.ToValidUTF8(name, "�"), Code: unknownField, Detail: "there is no such parameter",
					})
				case len(values) > 1:
					wrong = append(wrong, server.FieldError{
						In: server.FieldErrorInQuery, Field: name, Code: notUnique, Detail: "is given more than once",
					})
				}
			}
			if len(wrong) > 0 {
				errs.write(w, badRequest(r, wrong...))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// operation is what r asks for.
func operation(spec *openapi3.T, r *http.Request) *openapi3.Operation {
	return spec.Paths.Value(chi.RouteContext(r.Context()).RoutePattern()).GetOperation(r.Method)
}

func badRequest(r *http.Request, errs ...server.FieldError) server.Problem {
	return problem(r.Context(), invalidRequest, "", errs...)
}

// decodeJSON decodes a body for the validator. A number that is beyond a float64, which the validator counts with,
// becomes the largest one there is: out of any bounds, and welcome where there are none.
func decodeJSON(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (value any, err error) {
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
