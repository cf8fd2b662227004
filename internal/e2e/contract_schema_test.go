package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// flatten returns a schema merged with the schemas in its allOf.
func flatten(ref *openapi3.SchemaRef) *openapi3.Schema {
	if len(ref.Value.AllOf) == 0 {
		return ref.Value
	}
	s := *ref.Value
	s.Properties = maps.Clone(s.Properties)
	for _, part := range s.AllOf {
		p := flatten(part)
		if s.Type == nil {
			s.Type = p.Type
		}
		if s.Properties == nil {
			s.Properties = openapi3.Schemas{}
		}
		maps.Copy(s.Properties, p.Properties)
		s.Required = append(slices.Clip(s.Required), p.Required...)
		s.Enum = append(slices.Clip(s.Enum), p.Enum...)
		s.Min, s.Max = firstOf(s.Min, p.Min), firstOf(s.Max, p.Max)
		s.MaxLength, s.MaxItems = firstOf(s.MaxLength, p.MaxLength), firstOf(s.MaxItems, p.MaxItems)
		s.AdditionalProperties.Has = firstOf(s.AdditionalProperties.Has, p.AdditionalProperties.Has)
		s.AdditionalProperties.Schema = firstOf(s.AdditionalProperties.Schema, p.AdditionalProperties.Schema)
		s.Items, s.Discriminator = firstOf(s.Items, p.Items), firstOf(s.Discriminator, p.Discriminator)
		s.MinLength, s.MinItems, s.MinProps = max(s.MinLength, p.MinLength), max(s.MinItems, p.MinItems), max(s.MinProps, p.MinProps)
		s.OneOf = append(slices.Clip(s.OneOf), p.OneOf...)
		if s.Pattern == "" {
			s.Pattern = p.Pattern
		}
		if s.Format == "" {
			s.Format = p.Format
		}
		if s.Example == nil {
			s.Example = p.Example
		}
	}
	return &s
}

func firstOf[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// formats are samples of texts by their format.
var formats = map[string]string{
	"uuid": "0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e", "date-time": "2030-01-02T03:04:05Z", "date": "2030-01-02",
	"uri": "http://example.com/", "email": "a@example.com",
}

// sample returns a valid value with only the required fields.
func sample(ref *openapi3.SchemaRef) any {
	s := flatten(ref)
	switch {
	case s.Example != nil:
		return s.Example
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return sampleVariant(s, s.OneOf[0])
	case s.Type == nil:
		return map[string]any{"any": 1}
	case s.Type.Is("object"):
		value := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			if slices.Contains(s.Required, name) || len(value) < int(s.MinProps) {
				value[name] = sample(s.Properties[name])
			}
		}
		return value
	case s.Type.Is("array"):
		value := []any{}
		for len(value) < int(max(s.MinItems, 1)) {
			value = append(value, sample(s.Items))
		}
		return value
	case s.Type.Is("boolean"):
		return true
	case s.Type.Is("integer"), s.Type.Is("number"):
		lowest, highest := bounds(s)
		return min(max(lowest, 1), highest)
	case formats[s.Format] != "":
		return formats[s.Format]
	default:
		return strings.Repeat("a", int(max(s.MinLength, 1)))
	}
}

// sampleVariant returns a valid value of one variant of a oneOf.
func sampleVariant(s *openapi3.Schema, variant *openapi3.SchemaRef) any {
	value := sample(variant)
	object, ok := value.(map[string]any)
	if !ok || s.Discriminator == nil {
		return value
	}
	object = maps.Clone(object)
	if url := flatten(variant).Properties["url"]; url != nil && object["url"] == nil {
		object["url"] = sample(url) // either it or a connection is required
	}
	object[s.Discriminator.PropertyName] = variant.Ref[strings.LastIndex(variant.Ref, "/")+1:]
	for name, mapped := range s.Discriminator.Mapping {
		if mapped.Ref == variant.Ref {
			object[s.Discriminator.PropertyName] = name
		}
	}
	return object
}

// get returns the value at a path of names and indexes, or nil.
func get(value any, at []string) any {
	for _, name := range at {
		switch v := value.(type) {
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil {
				panic(err) // bodyMutations made the path
			}
			value = v[i]
		case map[string]any:
			value = v[name]
		}
	}
	return value
}

// remove is a value for put that removes the property.
type remove struct{}

// put returns a copy of value with another value at a path of names and indexes.
func put(value any, at []string, to any) any {
	if len(at) == 0 {
		return to
	}
	switch v := value.(type) {
	case []any:
		i, err := strconv.Atoi(at[0])
		if err != nil {
			panic(err) // bodyMutations made the path
		}
		out := slices.Clone(v)
		out[i] = put(v[i], at[1:], to)
		return out
	case map[string]any:
		out := maps.Clone(v)
		if out[at[0]] = put(v[at[0]], at[1:], to); out[at[0]] == any(remove{}) {
			delete(out, at[0])
		}
		return out
	default:
		return put(map[string]any{}, at, to)
	}
}

func encode(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Errorf("encode a sample: %w", err)) // all samples can be encoded
	}
	return raw
}

// textOf returns a value as it is written in a path or a query.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64:
		return wholeText(v)
	case []any: // as in a query
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = textOf(v[i])
		}
		return strings.Join(texts, ",")
	default:
		return fmt.Sprint(v)
	}
}

// matches reports whether a text matches the schema's pattern, if there is one.
func matches(s *openapi3.Schema, text string) bool {
	return s.Pattern == "" || regexp.MustCompile(s.Pattern).MatchString(text)
}

// isBounded reports whether the schema refuses numbers that do not fit into 64 bits.
func isBounded(s *openapi3.Schema) bool {
	_, highest := bounds(s)
	return s.Format != "" || highest < math.MaxInt64
}
