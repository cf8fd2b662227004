package e2e

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// requiredQuery returns a query with the parameters that are required, except one.
func (op *operation) requiredQuery(except string) string {
	var query []string
	for _, parameter := range op.parameters("query") {
		if parameter.Required && parameter.Name != except {
			query = append(query, parameter.Name+"="+url.QueryEscape(textOf(sample(parameter.Schema))))
		}
	}
	return strings.Join(query, "&")
}

// textMutation is a value of a parameter, as sent in a path or a query.
type textMutation struct {
	name, escaped string
	verdict       verdict
	absent        bool // well-formed, but nothing has this id
}

// textMutations derives values of a parameter from its schema: some that are allowed and some that
// are not. present is a valid value.
func textMutations(ref *openapi3.SchemaRef, present string) []textMutation {
	s := flatten(ref)
	var all []textMutation
	raw := func(name, escaped string, v verdict) {
		all = append(all, textMutation{name: name, escaped: escaped, verdict: v})
	}
	add := func(v verdict, texts ...string) {
		for _, text := range texts {
			raw(fmt.Sprintf("%.40q", text), url.PathEscape(text), v)
		}
	}
	raw("of a NUL", "%00", refused)
	raw("ending in a NUL", present+"%00", refusedUnlessFree(s))
	raw("in invalid UTF-8", "%ff", refusedUnlessFree(s))
	raw("in overlong UTF-8", "%c0%af", refusedUnlessFree(s))
	raw("very long", strings.Repeat("a", 10_000), refusedUnlessFree(s))
	raw("empty", "", refusedUnlessFree(s))
	switch {
	case len(s.Enum) > 0:
		for _, value := range s.Enum {
			text := textOf(value)
			add(accepted, text)
			add(refused, text+" ", " "+text, text+","+text, text+"X", text[1:])
			if lower := strings.ToLower(text); !slices.Contains(s.Enum, any(lower)) {
				add(refused, lower)
			}
		}
		add(refused, "NOPE", " ", "0", "null")
	case s.Type.Is("integer"), s.Type.Is("number"):
		lowest, highest := bounds(s)
		if s.Min != nil {
			add(accepted, wholeText(lowest))
			add(refused, wholeText(lowest-1))
		}
		if s.Max != nil {
			add(accepted, wholeText(highest))
			add(refused, wholeText(highest+1))
		}
		if s.Type.Is("integer") {
			add(refused, "1.5", "9223372036854775808", "-9223372036854775809", "1e400")
			// These are numbers in unusual forms. The service may refuse them.
			add(either, "1.0", "1e0", "+1", "01")
		}
		add(refused, "abc", " ", "1 ", " 1", "0x1", "1_0", "1,2", "1;2", "\u0661", "NaN", "Infinity", "true", "null", "--1", "-", "'1'")
	case s.Type.Is("boolean"):
		add(accepted, "true", "false")
		add(refused, "TRUE", "yes", "2", "null", " true")
	case s.Type.Is("string") && s.Format == "uuid":
		add(accepted, strings.ToUpper(present))
		raw("with escaped dashes", strings.ReplaceAll(present, "-", "%2D"), either)
		add(refused, "not-a-uuid", "urn:uuid:"+present, "{"+present+"}", strings.ReplaceAll(present, "-", ""), present[:35], present+"0",
			" ", present+" ", " "+present, present+"\n", present+"/", present+","+present, "0", "-1", "null", "%", "%2F", "\u0661"+present[1:], "g"+present[1:])
		for _, id := range []string{
			"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "9b2f1c9e-3a52-4c4b-8f6e-0d6a5a3f3b11",
			"00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff",
		} {
			all = append(all, textMutation{name: "absent " + id, escaped: id, absent: true})
		}
	case s.Type.Is("string") && s.Format == "date-time":
		add(accepted, "2026-01-31T09:30:00Z", "2026-01-31T09:30:00.123456789Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")
		raw("with an offset", "2026-01-31T09:30:00%2B02:00", accepted)
		add(refused, "2026-01-31", "2026-01-31T09:30", "2026-01-31T09:30:00", "2026-02-30T09:30:00Z", "0000-01-01T00:00:00Z", "now",
			"infinity", "1769851800", " ", "null", present+" ", present+","+present)
	case s.Type.Is("string"):
		add(accepted, shortAndLong(s)...)
		for _, text := range tooShortOrLong(s) {
			if len(text) < maxTarget { // or the server does not even read the request
				add(refused, text)
			}
		}
		for _, text := range patternViolations(s) {
			add(refused, text)
		}
	}
	return all
}

// maxTarget is how long the parameters of a request may be for the server to read them.
const maxTarget = 8 << 10

// refusedUnlessFree is the verdict on a strange text: refused, unless the schema allows any text.
func refusedUnlessFree(s *openapi3.Schema) verdict {
	if s.Type.Is("string") && len(s.Enum) == 0 && s.Format != "uuid" {
		return either
	}
	return refused
}

// bounds returns the minimum and maximum of a number, as floats.
func bounds(s *openapi3.Schema) (lowest, highest float64) {
	lowest, highest = math.Inf(-1), math.Inf(1)
	if s.Min != nil {
		lowest = *s.Min
		if s.ExclusiveMin.IsTrue() {
			lowest++
		}
	}
	if s.Max != nil {
		highest = *s.Max
		if s.ExclusiveMax.IsTrue() {
			highest--
		}
	}
	return lowest, highest
}

func wholeText(number float64) string { return strconv.FormatFloat(number, 'f', -1, 64) }

// shortAndLong returns the shortest and the longest valid texts. Schemas count characters, not
// bytes.
func shortAndLong(s *openapi3.Schema) (texts []string) {
	least, most := int(max(s.MinLength, 1)), 100
	if s.MaxLength != nil {
		most = int(*s.MaxLength)
	}
	for _, text := range []string{
		strings.Repeat("a", least), strings.Repeat("a", most), strings.Repeat("\u00e9", most), strings.Repeat("\U0001f600", most),
	} {
		if matches(s, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// tooShortOrLong returns texts that are too short or too long. Schemas count characters, not bytes.
func tooShortOrLong(s *openapi3.Schema) (texts []string) {
	if s.MinLength > 0 {
		texts = append(texts, "")
		if s.MinLength > 1 {
			texts = append(texts, strings.Repeat("a", int(s.MinLength)-1), strings.Repeat("\u00e9", int(s.MinLength)-1))
		}
	}
	if s.MaxLength != nil {
		longest := int(*s.MaxLength)
		texts = append(texts, strings.Repeat("a", longest+1), strings.Repeat("\U0001f600", longest+1),
			strings.Repeat("a", min(100*longest, 2*maxBody)+1))
	}
	return texts
}

// patternViolations returns texts that do not match the pattern of a schema.
func patternViolations(s *openapi3.Schema) (texts []string) {
	if s.Pattern == "" {
		return nil
	}
	pattern := regexp.MustCompile(s.Pattern)
	for _, text := range []string{
		"a\x01b", "a\tb", "a\nb", "a\n", "\na", "a\r\nb", "\x1b[31m", "a\x1f", "a\x7f", " ", "a b", "a/b", "A", "\u00e9", "\u2028", "\u202e", "-", "$", "0",
	} {
		if !pattern.MatchString(text) {
			texts = append(texts, text)
		}
	}
	return texts
}
