package placeholders

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// URL parses a template of a URL, or of a path with a query. A value is one segment of the path, or
// a part of one, or a value in the query. It cannot stand in the scheme, the host or the port: they
// say who gets the request and its secrets.
func URL(text string) (Template, error) {
	t, err := parse(text)
	if err != nil {
		return t, err
	}
	if len(t.parts) > 1 && !hasPath(t.parts[0].text) {
		return t, errors.New("has a placeholder before its path")
	}
	inQuery := false
	for i := range t.parts {
		p := &t.parts[i]
		inQuery = inQuery || strings.ContainsAny(p.text, "?#")
		p.write = func(value any) string { return url.PathEscape(plainText(value)) }
		if inQuery {
			p.write = func(value any) string { return url.QueryEscape(plainText(value)) }
		}
	}
	return t, nil
}

// hasPath reports whether a URL has come to its path or its query.
func hasPath(text string) bool {
	if _, afterScheme, isAbsolute := strings.Cut(text, "://"); isAbsolute {
		text = afterScheme
	}
	return strings.ContainsAny(text, "/?#")
}

// FillURL is Fill for a template of a URL. It returns an error if a value makes a segment of the
// path that means another one.
func (t Template) FillURL(values Values) (string, error) {
	filled := t.Fill(values)
	path, _, _ := strings.Cut(filled, "?")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", fmt.Errorf("a placeholder makes the segment %q of the path", segment)
		}
	}
	return filled, nil
}

// Header parses a template of the value of a header. Control characters of a value become spaces.
func Header(text string) (Template, error) {
	t, err := parse(text)
	t.writeWith(func(value any) string {
		return strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, plainText(value)))
	})
	return t, err
}

// Body parses a template of the body of a request. The type of the content says how values are
// escaped: for JSON, a form, XML or HTML, and for no other type. Without a type, it is JSON if it
// is JSON with its placeholders filled.
//
// In JSON, a placeholder in a text is a part of the text. Another one is a value of its own: a
// text in quotes, a number, or null.
func Body(text, contentType string) (Template, error) {
	t, err := parse(text)
	if err != nil {
		return t, err
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	switch {
	case kind == "":
		if asJSON := t.forJSON(); asJSON.isJSON() {
			return asJSON, nil
		}
		t.writeWith(plainText)
	case strings.HasSuffix(kind, "json"):
		if t = t.forJSON(); !t.isJSON() {
			return t, errors.New("is not JSON when its placeholders are filled")
		}
	case kind == "application/x-www-form-urlencoded":
		t.writeWith(func(value any) string { return url.QueryEscape(plainText(value)) })
	case strings.HasSuffix(kind, "xml"), kind == "text/html":
		t.writeWith(func(value any) string {
			var out bytes.Buffer
			_ = xml.EscapeText(&out, []byte(plainText(value))) // a buffer takes everything
			return out.String()
		})
	default:
		t.writeWith(plainText)
	}
	return t, nil
}

func (t Template) writeWith(write func(any) string) {
	for i := range t.parts {
		t.parts[i].write = write
	}
}

// forJSON returns the template with the writers for a body in JSON.
func (t Template) forJSON() Template {
	asJSON := Template{parts: append([]part{}, t.parts...)}
	inText := false // whether the placeholder stands in quotes
	for i := range asJSON.parts {
		p := &asJSON.parts[i]
		inText = endsInText(p.text, inText)
		p.write = quoted
		if inText {
			p.write = func(value any) string {
				text := quoted(plainText(value))
				return text[1 : len(text)-1]
			}
		}
	}
	return asJSON
}

// endsInText reports whether a stretch of JSON ends between quotes, if it begins so.
func endsInText(text string, inText bool) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && inText:
			i++
		case text[i] == '"':
			inText = !inText
		}
	}
	return inText
}

// isJSON reports whether the template is JSON whatever the values are.
func (t Template) isJSON() bool {
	return json.Valid([]byte(t.Fill(Values{JobName: `"\`, ScheduledFor: time.Unix(0, 0)}))) &&
		json.Valid([]byte(t.Fill(Values{JobKey: "k", Event: json.RawMessage(`{"type":"t","data":{"jobName":"a","error":"b","count":1}}`)})))
}

// quoted returns a value as JSON.
func quoted(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // texts and numbers: cannot fail
	return strings.TrimSuffix(out.String(), "\n")
}

// plainText returns a value as text, without quotes. There is none for nil.
func plainText(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
