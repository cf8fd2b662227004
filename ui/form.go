package ui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// form is a form as it was sent, and what the API refuses of it. The zero value is an empty form.
type form struct {
	url.Values
	problem *client.Problem
	shown   map[string]bool
}

// maxForm is how large a form may be, in bytes: one with an iCalendar file is the longest. Forms of
// this size are read into memory. The files in a longer one would be stored in the directory for
// temporary files, also those of strangers.
const maxForm = 6 << 20

// boundForms bounds what is read of a form, also of strangers.
func boundForms(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// readForm reads the form that was sent.
func (p *page) readForm() (*form, error) {
	if err := p.ParseForm(); err != nil {
		return nil, badForm(err)
	}
	return &form{Values: p.PostForm}, nil
}

// refused reports whether the API has refused the form because of its values. Then the form is to
// be shown again, with what is wrong. Other errors are for the caller to return.
func (f *form) refused(p *page, err error) bool {
	refusal, is := errors.AsType[*answers.Refused](err)
	if !is || refusal.Status >= http.StatusInternalServerError || refusal.Status == http.StatusUnauthorized {
		return false
	}
	f.problem, p.status = &refusal.Problem, int(refusal.Status)
	return true
}

// errors returns what is wrong with a field. A field of objects has the errors of all that is in
// it. More than one name may be given, if one field of the form makes several fields of the API.
func (f *form) errors(names ...string) (all []string) {
	if f == nil || f.problem == nil || f.problem.Errors == nil {
		return nil
	}
	if f.shown == nil {
		f.shown = map[string]bool{}
	}
	for _, e := range *f.problem.Errors {
		if !slices.ContainsFunc(names, func(name string) bool { return e.Field == name || strings.HasPrefix(e.Field, name+".") }) {
			continue
		}
		f.shown[e.Field] = true
		text := e.Detail
		if !slices.Contains(names, e.Field) {
			text = e.Field + ": " + text
		}
		all = append(all, text)
	}
	return all
}

// rest returns the errors of fields that the form has not shown. Call it after all fields.
func (f *form) rest() (all []client.FieldError) {
	if f == nil || f.problem == nil || f.problem.Errors == nil {
		return nil
	}
	for _, e := range *f.problem.Errors {
		if !f.shown[e.Field] {
			all = append(all, e)
		}
	}
	return all
}

// badForm is the error for a form that cannot be read.
func badForm(err error) error {
	return refusal(http.StatusBadRequest, "invalid-request", "The form cannot be read: "+err.Error())
}

// acted ends an action that is a button on some page: the page is shown again, and says that it was
// done, or why the API has refused it.
func (p *page) acted(done string, err error) error {
	refusal, is := errors.AsType[*answers.Refused](err)
	switch {
	case err == nil:
		p.say(done)
	case is && refusal.Status < http.StatusInternalServerError && refusal.Status != http.StatusUnauthorized:
		p.complain(refusal.Error())
	default:
		return err
	}
	return p.back()
}
