package api

import (
	"context"
	"fmt"
	"strings"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/jobs"
)

// errScope is the error for a part of an operation that needs a scope which the caller does not
// have.
type errScope access.Scope

func (e errScope) Error() string { return fmt.Sprintf("This operation needs the scope %s.", string(e)) }

// encodeFields makes the API's errors of the fields of a body that are wrong: of the first, if
// there are many.
func encodeFields(fields []jobs.Field) []server.FieldError {
	return encodeAll(fields[:min(len(fields), maxFieldErrors)], func(f jobs.Field) server.FieldError {
		return server.FieldError{In: server.FieldErrorInBody, Field: f.Name, Code: string(f.Code), Detail: f.Detail}
	})
}

// failure returns why one of many things could not be done: the code of the problem with which the
// single operation would be answered, and its detail, with the fields that are wrong.
func (s *handlers) failure(ctx context.Context, err error) (code, detail *string) {
	p, isExpected := problemOf(ctx, err)
	if !isExpected {
		s.Logger.ErrorContext(ctx, "one of many changes of a request failed", "error", err)
	}
	if p.Errors != nil {
		fields := encodeAll(*p.Errors, func(f server.FieldError) string { return strings.TrimSpace(f.Field + " " + f.Detail) })
		p.Detail = "The request is not valid: " + strings.Join(fields, "; ") + "."
	}
	return &p.Code, &p.Detail
}

// outcome says what became of one of many things that a request was to change, and why it could not
// be changed.
func (s *handlers) outcome(ctx context.Context, err error, isChanged bool) (result server.BulkResult, code, detail *string) {
	switch {
	case err != nil:
		code, detail = s.failure(ctx, err)
		return server.BulkResultFAILED, code, detail
	case isChanged:
		return server.BulkResultCHANGED, nil, nil
	default:
		return server.BulkResultUNCHANGED, nil, nil
	}
}
