package ui

import (
	"net/http"
	"time"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// inputLayouts are the forms in which browsers send instants, and people write them.
var inputLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// inputZone is the zone in which instants are entered.
func (p *page) inputZone() *time.Location {
	if p.prefers.zone != "utc" && p.prefers.browser != nil {
		return p.prefers.browser
	}
	return time.UTC
}

// instant reads a field with an instant in the zone of input, or with an offset. It is nil if the
// field is empty. An error says, at the field, that it is none.
func (f *form) instant(p *page, name string) (*time.Time, error) {
	text := f.Get(name)
	if text == "" {
		return nil, nil //nolint:nilnil // none was given
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return &t, nil
	}
	for _, layout := range inputLayouts {
		if t, err := time.ParseInLocation(layout, text, p.inputZone()); err == nil {
			return &t, nil
		}
	}
	return nil, wrongField(name, "wrong-format", "this is no instant, such as 2040-01-31T09:30")
}

// entered writes an instant as it is entered.
func (p *page) entered(t *time.Time) string {
	if t == nil {
		return ""
	}
	in := t.In(p.inputZone())
	if in.Second() == 0 && in.Nanosecond() == 0 {
		return in.Format("2006-01-02T15:04")
	}
	if in.Nanosecond() == 0 {
		return in.Format("2006-01-02T15:04:05")
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// wrongField is the error of a field that cannot be sent to the API, in the API's form.
func wrongField(name, code, detail string) error {
	return &answers.Refused{Problem: client.Problem{
		Status: http.StatusBadRequest, Code: "invalid-request", Title: "Bad Request", Detail: "The request is not valid.",
		Errors: &[]client.FieldError{{In: client.FieldErrorInBody, Field: name, Code: code, Detail: detail}},
	}}
}
