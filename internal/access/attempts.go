package access

import (
	"context"
	"errors"
)

// ErrTooManyAttempts says that the sender has sent too many credentials that were not valid, so
// that no more of them are looked up for a while.
var ErrTooManyAttempts = errors.New("too many credentials were not valid")

type attemptKey struct{}

// WithAttempts returns a context in which a Verifier has to ask begin before it looks credentials
// up.
func WithAttempts(ctx context.Context, begin func() error) context.Context {
	return context.WithValue(ctx, attemptKey{}, begin)
}

// BeginAttempt returns ErrTooManyAttempts if credentials are not to be looked up. A Verifier calls
// it before it asks anybody, or computes much, about credentials that it does not know yet; so a
// key that it knows is accepted whatever else comes from the same address.
func BeginAttempt(ctx context.Context) error {
	if begin, ok := ctx.Value(attemptKey{}).(func() error); ok {
		return begin()
	}
	return nil
}
