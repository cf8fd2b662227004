package ui

import (
	"io"
	"strconv"
	"strings"
)

// body is the JSON of a request that a form makes. What is no number or instant is sent as the text
// that it is: the API refuses it at its field.
type body map[string]any

// reader is the body as it is sent.
func (b body) reader() io.Reader { return jsonBody(b) }

// setText sets fields that are not empty.
func (b body) setText(f *form, names ...string) {
	for _, name := range names {
		if value := strings.TrimSpace(f.Get(name)); value != "" {
			b[name] = value
		}
	}
}

// setNumbers sets fields that are numbers. Empty ones are left out.
func (b body) setNumbers(f *form, names ...string) {
	for _, name := range names {
		if value := numberOf(f.Get(name)); value != nil {
			b[name] = value
		}
	}
}

// clearNumbers is setNumbers, but empty fields become null: the API clears them.
func (b body) clearNumbers(f *form, names ...string) {
	for _, name := range names {
		b[name] = numberOf(f.Get(name))
	}
}

func numberOf(text string) any {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return text
}

// setInstant sets a field that is an instant in the zone of the page.
func (b body) setInstant(p *page, f *form, name string) {
	value := f.Get(name)
	if value == "" {
		return
	}
	b[name] = value
	if t, err := p.instant(name, value); err == nil {
		b[name] = t
	}
}

// setLines sets fields that are lists, an item a line. Empty ones are left out.
func (b body) setLines(f *form, names ...string) {
	for _, name := range names {
		if lines := linesOf(f.Get(name)); len(lines) > 0 {
			b[name] = lines
		}
	}
}

// linesOf are the lines of a text that are not empty.
func linesOf(text string) []string {
	lines := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// headersOf are the lines of a text as headers: "Name: value".
func headersOf(text string) map[string]string {
	headers := map[string]string{}
	for _, line := range linesOf(text) {
		name, value, _ := strings.Cut(line, ":")
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return headers
}

// isWithin reports whether a path of a field is a field, or something in it.
func isWithin(path, field string) bool {
	return path == field || strings.HasPrefix(path, field+".")
}
