package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// maxNested is how deep a value may be nested, as the contract says.
const maxNested = 200

// mutation is a valid body in which one value was changed.
type mutation struct {
	name    string
	field   string // the field that a refusal names
	body    any
	verdict verdict
	loosely bool
	secret  string
}

// mutator collects mutations.
type mutator struct {
	all []mutation
	// loosely is true in a oneOf without a discriminator, where the service cannot tell which
	// variant was meant.
	loosely bool
	// discriminator is the field that selects the variant of a oneOf. If it is wrong, nothing else
	// is checked.
	discriminator string
	// isSecret is whether the value must never be returned.
	isSecret bool
}

// bodyMutations derives bodies from a schema and a valid body: some that are allowed and some that
// are not.
func bodyMutations(media *openapi3.MediaType, valid []byte) []mutation {
	var m mutator
	var body any // as JSON decodes it
	if err := json.Unmarshal(valid, &body); err != nil {
		panic(err)
	}
	m.walk(body, media.Schema, nil)
	return m.all
}

// minSecret is the length in bytes of a text that is in no answer by chance.
const minSecret = 16

// add adds mutations that put JSON texts at a path of the body.
func (m *mutator) add(body any, at []string, v verdict, texts ...string) {
	m.addNamed(body, at, strings.Join(at, "."), v, texts...)
}

// addNamed is add for a refusal that names another field.
func (m *mutator) addNamed(body any, at []string, field string, v verdict, texts ...string) {
	for _, text := range texts {
		secret := ""
		if bare := strings.Trim(text, `[{"}]`); m.isSecret && len(bare) >= minSecret {
			secret = bare[:minSecret] // a part of a secret is secret, too
		}
		m.all = append(m.all, mutation{
			name: fmt.Sprintf("with %q = %.60s", strings.Join(at, "."), text), field: field, verdict: v, loosely: m.loosely,
			body: put(body, at, json.RawMessage(text)), secret: secret,
		})
	}
}

// kinds has a JSON text of each type.
var kinds = map[string][]string{
	"string": {`"text"`, `""`, `"1"`, `"true"`, `"null"`}, "integer": {`7`, `0`, `-1`}, "number": {`1.5`}, "boolean": {`true`, `false`},
	"object": {`{}`, `{"a":1}`}, "array": {`[]`, `[1]`, `[null]`, `[{}]`},
}

// walk mutates the value at a path of a valid body, by its schema.
func (m *mutator) walk(body any, ref *openapi3.SchemaRef, at []string) {
	s := flatten(ref)
	null := refused
	if s.Nullable {
		null = accepted
	}
	m.add(body, at, null, "null")
	if len(s.OneOf) > 0 {
		m.walkVariants(body, s, at)
		return
	}
	if s.Type == nil && len(s.Enum) == 0 {
		m.walkAny(body, at)
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		// A number that is no integer has the right type and a wrong value.
		areNumbers := (kind == "integer" || kind == "number") && (s.Type.Is("integer") || s.Type.Is("number"))
		if !s.Type.Is(kind) && !areNumbers {
			m.add(body, at, refused, kinds[kind]...)
		}
	}
	switch {
	case s.Type.Is("object"):
		m.walkObject(body, s, at)
	case s.Type.Is("array"):
		m.walkArray(body, s, at)
	case s.Type.Is("boolean"):
		m.add(body, at, accepted, "true", "false")
	case s.Type.Is("string"):
		m.walkString(body, s, at)
	default:
		m.walkNumber(body, s, at)
	}
}

func (m *mutator) walkNumber(body any, s *openapi3.Schema, at []string) {
	lowest, highest := bounds(s)
	if s.Min != nil {
		m.add(body, at, accepted, wholeText(lowest))
		m.add(body, at, refused, wholeText(lowest-1))
	}
	if s.Max != nil {
		m.add(body, at, accepted, wholeText(highest))
		m.add(body, at, refused, wholeText(highest+1))
	}
	huge := []string{"9223372036854775808", "-9223372036854775809", "1e19", "-1e19", "1e400", "-1e400", "1e99999999", strings.Repeat("9", 1000)}
	if isBounded(s) {
		m.add(body, at, refused, huge...)
	} else {
		m.add(body, at, either, huge...)
	}
	if s.Type.Is("integer") {
		m.add(body, at, refused, "1.5", "1.0000001", "1e-1", "1e-400")
		ten := accepted
		if s.Min != nil && *s.Min > 10 || s.Max != nil && *s.Max < 10 {
			ten = refused
		}
		m.add(body, at, ten, "10.0", "1e1", "100e-1", "1E+1")
		if s.Min != nil {
			m.add(body, at, accepted, wholeText(lowest)+".0")
		}
	}
}

func (m *mutator) walkString(body any, s *openapi3.Schema, at []string) {
	if len(s.Enum) > 0 {
		for _, value := range s.Enum {
			m.add(body, at, accepted, string(encode(value)))
			text := textOf(value)
			m.add(body, at, refused, string(encode(text+" ")), string(encode(text+"\n")), string(encode(text[1:])))
			if lower := strings.ToLower(text); !slices.Contains(s.Enum, any(lower)) {
				m.add(body, at, refused, string(encode(lower)))
			}
		}
		m.add(body, at, refused, `"NOPE"`, `""`)
		return
	}
	for _, text := range slices.Concat(tooShortOrLong(s), patternViolations(s)) {
		m.add(body, at, refused, string(encode(text)))
	}
	if formats[s.Format] != "" {
		m.add(body, at, refused, `"not one"`, string(encode(formats[s.Format]+" ")), string(encode(" "+formats[s.Format])))
	} else {
		for _, text := range shortAndLong(s) {
			m.add(body, at, accepted, string(encode(text)))
		}
	}
	// PostgreSQL cannot store a NUL, and half of a surrogate pair would be stored as another
	// character.
	m.add(body, at, refused, `"\u0000"`, `"a\u0000b"`, `"\ud800"`, `"a\udfffb"`, `"\ude00\ud83d"`)
}

func (m *mutator) walkArray(body any, s *openapi3.Schema, at []string) {
	item := sample(s.Items)
	if given, ok := get(body, at).([]any); ok && len(given) > 0 {
		item = given[0]
	}
	of := func(n int) string { return string(encode(slices.Repeat([]any{item}, n))) }
	if s.MinItems > 0 {
		m.add(body, at, refused, of(int(s.MinItems)-1))
	}
	if s.MaxItems != nil {
		if !s.UniqueItems {
			m.add(body, at, accepted, of(int(*s.MaxItems)))
		}
		m.add(body, at, refused, of(int(*s.MaxItems)+1))
	}
	if s.UniqueItems {
		m.add(body, at, refused, of(2))
	}
	m.walk(put(body, at, []any{item}), s.Items, append(slices.Clip(at), "0"))
}

// oddNames are unusual names of members.
var oddNames = []string{"nope", "", "a\u0001b", "\u00e9", "__proto__", strings.Repeat("n", 1000)}

func (m *mutator) walkObject(body any, s *openapi3.Schema, at []string) {
	if s.MinProps > 0 {
		m.add(body, at, refused, "{}")
	}
	child := func(name string) []string { return append(slices.Clip(at), name) }
	unknown := refused
	if s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has {
		unknown = either
	}
	if extra := s.AdditionalProperties.Schema; extra != nil {
		m.walkMap(body, s, at)
	} else {
		for _, name := range oddNames {
			m.add(body, child(name), unknown, "1", "null")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		given, _ := get(body, at).(map[string]any)
		with := body
		if given[name] == nil {
			with = put(body, child(name), sample(property))
			if s.MaxProps != nil && len(given) >= int(*s.MaxProps) { // it takes the place of the others
				with = put(body, at, map[string]any{name: sample(property)})
			}
		}
		if given[name] != nil {
			gone := mutation{
				name: fmt.Sprintf("without %q", name), field: strings.Join(child(name), "."), loosely: m.loosely,
				body: put(body, child(name), remove{}), verdict: accepted,
			}
			if slices.Contains(s.Required, name) {
				gone.verdict = refused
			} else if len(given) == int(s.MinProps) {
				gone.verdict, gone.field = refused, strings.Join(at, ".")
			}
			m.all = append(m.all, gone)
		}
		for _, other := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], name + " "} {
			if s.Properties[other] == nil {
				value := string(encode(sample(property)))
				m.add(with, child(other), unknown, value)
				field := child(other)
				if strings.Join(child(name), ".") == m.discriminator {
					field = child(name)
				}
				m.addNamed(put(with, child(name), remove{}), child(other), strings.Join(field, "."), unknown, value)
			}
		}
		before := m.isSecret
		m.isSecret = before || property.Value.WriteOnly
		m.walk(with, property, child(name))
		m.isSecret = before
	}
}

// walkMap mutates an object whose members may have any names.
func (m *mutator) walkMap(body any, s *openapi3.Schema, at []string) {
	of := func(n int) string {
		members := map[string]any{}
		for len(members) < n {
			members[fmt.Sprint("extra", len(members))] = sample(s.AdditionalProperties.Schema)
		}
		return string(encode(members))
	}
	if s.MaxProps != nil {
		m.add(body, at, accepted, of(int(*s.MaxProps)))
		m.add(body, at, refused, of(int(*s.MaxProps)+1))
	}
	child := func(name string) []string { return append(slices.Clip(at), name) }
	value := string(encode(sample(s.AdditionalProperties.Schema)))
	for _, name := range oddNames {
		m.add(body, child(name), either, value) // the service may refuse some names
	}
	// A refusal does not repeat names that are not valid text.
	m.add(body, at, refused, `{"\u0000":`+value+`}`, `{"a\u0000b":`+value+`}`, `{"\ud800":`+value+`}`)
	m.walk(put(body, child("extra"), sample(s.AdditionalProperties.Schema)), s.AdditionalProperties.Schema, child("extra"))
}

func (m *mutator) walkVariants(body any, s *openapi3.Schema, at []string) {
	before := *m
	m.loosely, m.discriminator = s.Discriminator == nil, ""
	if s.Discriminator != nil {
		m.discriminator = strings.Join(append(slices.Clip(at), s.Discriminator.PropertyName), ".")
	}
	for _, variant := range s.OneOf {
		with := put(body, at, sampleVariant(s, variant))
		m.add(body, at, accepted, string(encode(sampleVariant(s, variant))))
		if s.Discriminator != nil {
			kind := append(slices.Clip(at), s.Discriminator.PropertyName)
			m.add(with, kind, refused, `"nope"`, `""`, "null", "1", "{}")
		}
		m.walk(with, variant, at)
	}
	m.loosely, m.discriminator = before.loosely, before.discriminator
}
