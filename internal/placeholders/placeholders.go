// Package placeholders fills placeholders in the URL, the headers and the body of a request: a
// small, closed language. A placeholder is {{name}}, or {{name | date "layout" "zone"}} for an
// instant, where the layout is that of package time and the zone an IANA name. {{"{{"}} stands for
// two braces.
//
// A template is parsed, and with that checked, for the place where it stands: there, values are
// escaped so that they stay data.
package placeholders

import (
	"fmt"
	"strings"
	"time"
)

// opening and closing are the marks of a placeholder.
const (
	opening = "{{"
	closing = "}}"
	// literal is what stands between the marks for two braces.
	literal = `"{{"`
)

// In reports whether a text may have placeholders.
func In(text string) bool { return strings.Contains(text, opening) }

// Template is a text with placeholders.
type Template struct {
	parts []part
}

// part is a stretch of text, and the placeholder that follows it.
type part struct {
	text string
	// name is empty if no placeholder follows.
	name string
	// layout and zone are of the filter date; no layout stands for no filter.
	layout string
	zone   *time.Location
	// write writes the value for the place where it stands.
	write func(value any) string
}

// parse splits a text into its parts. The writers of their values are not set.
func parse(text string) (t Template, err error) {
	var before strings.Builder // text since the last placeholder
	for {
		start := strings.Index(text, opening)
		if start < 0 {
			before.WriteString(text)
			break
		}
		before.WriteString(text[:start])
		inside, rest, isClosed := strings.Cut(text[start+len(opening):], closing)
		if !isClosed {
			return Template{}, fmt.Errorf("has %s without %s; write %s%s%s for the braces themselves", opening, closing, opening, literal, closing)
		}
		text = rest
		inside = strings.TrimSpace(inside)
		if inside == literal {
			before.WriteString(opening)
			continue
		}
		p, err := parsePlaceholder(inside)
		if err != nil {
			return Template{}, err
		}
		p.text = before.String()
		before.Reset()
		t.parts = append(t.parts, p)
	}
	t.parts = append(t.parts, part{text: before.String()})
	return t, nil
}

// parsePlaceholder parses what is between the marks.
func parsePlaceholder(inside string) (p part, err error) {
	name, filter, hasFilter := strings.Cut(inside, "|")
	p.name = strings.TrimSpace(name)
	kind, isKnown := kinds[p.name]
	if !isKnown {
		return p, fmt.Errorf("has the placeholder %q, which does not exist", p.name)
	}
	if !hasFilter {
		return p, nil
	}
	if kind != anInstant {
		return p, fmt.Errorf("writes %q as a date, and that is no instant", p.name)
	}
	p.layout, p.zone, err = parseDate(strings.TrimSpace(filter))
	return p, err
}

// IsFilledByEvents reports whether a placeholder of the template is filled by an event.
func (t Template) IsFilledByEvents() bool {
	for _, p := range t.parts {
		if strings.HasPrefix(p.name, eventPrefix) {
			return true
		}
	}
	return false
}

// Fill returns the text with the values in the place of the placeholders.
func (t Template) Fill(values Values) string {
	var out strings.Builder
	for _, p := range t.parts {
		out.WriteString(p.text)
		if p.name != "" {
			out.WriteString(p.write(p.valueIn(values)))
		}
	}
	return out.String()
}

// valueIn returns the value of the placeholder: nil, a text, or a number as JSON has it.
func (p part) valueIn(values Values) any {
	value := values.get(p.name)
	if p.layout == "" {
		return value
	}
	text, isText := value.(string)
	if !isText {
		return nil // there is none
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil
	}
	return at.In(p.zone).Format(p.layout)
}
