package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"punctual/gen/server"
	"punctual/internal/jobs"
)

// What may be wrong with a field besides what package jobs names.
const (
	unknownField = "unknown-field"
	wrongType    = "wrong-type"
	wrongFormat  = string(jobs.WrongFormat)
	notUnique    = string(jobs.NotUnique)
	notAllowed   = string(jobs.NotAllowed)
	notValid     = "not-valid"
)

// schemaCodes has the code for each keyword of a schema that a value may violate.
var schemaCodes = map[string]string{
	"type": wrongType, "nullable": wrongType, "format": wrongFormat, "pattern": wrongFormat,
	"enum": notAllowed, "discriminator": notAllowed, "oneOf": notAllowed, "anyOf": notAllowed, "not": notAllowed,
	"required": string(jobs.Required), "minProperties": string(jobs.Required), "uniqueItems": notUnique,
	"minimum": string(jobs.TooSmall), "exclusiveMinimum": string(jobs.TooSmall),
	"maximum": string(jobs.TooLarge), "exclusiveMaximum": string(jobs.TooLarge),
	"minLength": string(jobs.TooSmall), "maxLength": string(jobs.TooLarge),
	"minItems": string(jobs.TooSmall), "maxItems": string(jobs.TooLarge), "maxProperties": string(jobs.TooLarge),
}

// codeOf returns the code of an error of the validator that no schema explains.
func codeOf(err error) string {
	if errors.Is(err, openapi3filter.ErrInvalidRequired) {
		return string(jobs.Required)
	}
	return notValid
}

// maxFieldErrors is how many errors of fields a response lists.
const maxFieldErrors = 100

// fieldErrors names the fields at fault in what the validator or the generated code found.
func fieldErrors(err error) []server.FieldError {
	var (
		request   *openapi3filter.RequestError
		parameter *server.InvalidParamFormatError
		mistyped  *json.UnmarshalTypeError
	)
	//nolint:errorlint // Not what it wraps: that may be many, too, without the request it is of.
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
		return []server.FieldError{{
			In: server.FieldErrorInPath, Field: parameter.ParamName, Code: wrongFormat, Detail: "has the wrong format",
		}}
	case errors.As(err, &mistyped):
		return []server.FieldError{{
			In: server.FieldErrorInBody, Field: mistyped.Field, Code: wrongType,
			Detail: "must be of type " + mistyped.Type.String(),
		}}
	default:
		return nil
	}
}

func requestFieldErrors(err *openapi3filter.RequestError) []server.FieldError {
	if err.Parameter != nil {
		all := schemaErrors(err.Err, server.FieldErrorIn(err.Parameter.In), err.Parameter.Name)
		for i := range all {
			all[i].Field = err.Parameter.Name // not the item of a list
		}
		return slices.Compact(all)
	}
	return schemaErrors(err.Err, server.FieldErrorInBody, "")
}

// schemaErrors flattens the errors of a value. Their details come from the schema and never quote
// the value.
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
		return slices.Compact(all) // each variant refuses a value that fits none
	case errors.As(err, &schema):
		return []server.FieldError{schemaFieldError(schema, in, field)}
	case errors.As(err, &parse):
		return []server.FieldError{{
			In: in, Field: field, Code: wrongType, Detail: cmp.Or(parse.Reason, "has the wrong type"),
		}}
	default:
		return []server.FieldError{{In: in, Field: field, Code: codeOf(err), Detail: err.Error()}}
	}
}

// formats says what a text has to be, where the library would show an expression.
var formats = map[string]string{
	"date-time": "must be an instant of RFC 3339 in the years 1 to 9999 of UTC, such as 2030-01-31T09:30:00Z",
	"uuid":      "must be a UUID, such as 0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e",
}

func schemaFieldError(err *openapi3.SchemaError, in server.FieldErrorIn, field string) server.FieldError {
	path := append(strings.FieldsFunc(field, func(r rune) bool { return r == '.' }), err.JSONPointer()...)
	detail, code := err.Reason, schemaCodes[err.SchemaField]
	if name, ok := unknownProperty(err); ok {
		path, code = append(path, name), unknownField
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
	return server.FieldError{In: in, Field: strings.Join(path, "."), Code: cmp.Or(code, notValid), Detail: detail}
}

// unknownProperty returns the name of a property that the schema does not have. Only the text of
// the reason contains it.
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
