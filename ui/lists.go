package ui

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// itemsOfPage is how many items a page of a list has.
const itemsOfPage client.Limit = 50

// cursor is where the list of the page begins, or nil.
func (p *page) cursor() *string { return given(p.URL.Query().Get("cursor")) }

// given returns a value that is not empty, or nil. The API takes an absent value for any.
func given[T ~string](value T) *T {
	if value == "" {
		return nil
	}
	return &value
}

// listed returns the values of a parameter, which may be given several times, and as a list with
// commas; or nil.
func listed[T ~string](of url.Values, name string) *[]T {
	var values []T
	for _, part := range of[name] {
		for value := range strings.SplitSeq(part, ",") {
			if value = strings.TrimSpace(value); value != "" {
				values = append(values, T(value))
			}
		}
	}
	if values == nil {
		return nil
	}
	return &values
}

// fieldTime is how a field for an instant writes it, in the zone that the page shows.
const fieldTime = "2006-01-02T15:04:05"

// location is the zone of times that belong to no job.
func (p *page) location() *time.Location { return p.locationFor("") }

// zoneName is what the zone of location is called at an instant.
func (p *page) zoneName() string { return p.now.In(p.location()).Format("MST") }

// instant reads an instant: as RFC 3339 writes it, or as a field of a form does, in the zone of the
// page. It returns nil if there is none. What is no instant is refused.
func (p *page) instant(field, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339Nano, fieldTime, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, p.location()); err == nil {
			return new(t.UTC()), nil
		}
	}
	return nil, wrongField(field, "is no time such as 2040-01-31T09:30")
}

// fieldInstant writes an instant for a field.
func (p *page) fieldInstant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.In(p.location()).Format(fieldTime)
}

// wrongField refuses a value that the API cannot be asked about, as the API refuses others.
func wrongField(field, detail string) error {
	return &answers.Refused{Problem: client.Problem{
		Status: http.StatusBadRequest, Code: "invalid-request", Title: "Bad Request", Detail: "The request has faults.",
		Errors: &[]client.FieldError{{Field: field, Code: "wrong-format", Detail: detail, In: client.FieldErrorInQuery}},
	}}
}

// orDash is a text, or a dash for none.
func orDash(text string) string { return cmp.Or(text, "–") }
