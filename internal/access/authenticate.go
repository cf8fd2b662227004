package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// KeyPrefix begins every API key, and no token.
const KeyPrefix = "punc_"

var (
	// ErrNoCredentials says that a request names nobody.
	ErrNoCredentials = errors.New("the request has no credentials")
	// ErrInvalid says that credentials are not valid, and no more: they are malformed or unknown.
	ErrInvalid = errors.New("the credentials are not valid")
	// ErrExpired says that credentials were valid once. Like ErrRevoked, it is only for those who
	// know the secret.
	ErrExpired = fmt.Errorf("%w: they have expired", ErrInvalid)
	// ErrRevoked says that somebody has revoked the credentials.
	ErrRevoked = fmt.Errorf("%w: they are revoked", ErrInvalid)
	// ErrNoNamespace says that there is no such namespace, or not for the caller.
	ErrNoNamespace = errors.New("there is no such namespace")
	// ErrMoving says that a namespace is being moved to another cell, or has been a moment ago, so
	// nothing may be changed here.
	ErrMoving = errors.New("the namespace is being moved to another cell")
	// ErrQueueNotAllowed says that the caller serves some queues only, and asks for another one.
	ErrQueueNotAllowed = errors.New("the caller may not serve the queue")
	// ErrNoGrant says that a token is valid, and that nothing is granted to its bearer.
	ErrNoGrant = errors.New("nothing is granted to the bearer of the token")
	// ErrIssuerUnavailable says that it is not known whether a token is valid, because the keys of
	// its issuer are not known.
	ErrIssuerUnavailable = errors.New("the issuer of tokens cannot be reached")
)

// Verifier finds out whom credentials stand for. Safe for concurrent use.
type Verifier interface {
	// Verify returns the caller: without a namespace if it is service-wide, and without what
	// belongs to the request or to the namespace. An error that wraps ErrInvalid says that the
	// credentials are not valid. Any other error says that this could not be found out.
	Verify(ctx context.Context, credentials string) (Caller, error)
}

// Authenticator finds out who makes a request. Safe for concurrent use.
type Authenticator struct {
	// Keys verifies API keys.
	Keys Verifier
	// Tokens verifies all other credentials. Default: none of them is valid.
	Tokens Verifier
}

// Authenticate returns who makes a request with these values of the header Authorization. The
// error is ErrNoCredentials, or one as Verifier returns it.
func (a *Authenticator) Authenticate(ctx context.Context, authorization []string) (Caller, error) {
	switch {
	case len(authorization) == 0 || len(authorization) == 1 && authorization[0] == "":
		return Caller{}, ErrNoCredentials
	case len(authorization) > 1: // nobody knows which of them the client means
		return Caller{}, ErrInvalid
	}
	scheme, credentials, _ := strings.Cut(authorization[0], " ")
	credentials = strings.TrimLeft(credentials, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || credentials == "":
		return Caller{}, ErrInvalid
	case strings.HasPrefix(credentials, KeyPrefix):
		return a.Keys.Verify(ctx, credentials)
	case a.Tokens != nil:
		return a.Tokens.Verify(ctx, credentials)
	default:
		return Caller{}, ErrInvalid
	}
}

// In returns the caller in a namespace: in its own one, or DefaultNamespace, if name is empty. It
// returns ErrNoNamespace if the caller is bound to another one.
func (c Caller) In(name string) (Caller, error) {
	switch {
	case c.Choose != nil:
		chosen, err := c.Choose(name)
		chosen.RequestID = c.RequestID
		return chosen, err
	case !c.IsServiceWide && name != "" && name != c.Namespace:
		return Caller{}, ErrNoNamespace
	case c.IsServiceWide && name == "":
		c.Namespace = DefaultNamespace
	case c.IsServiceWide:
		c.Namespace = name
	}
	return c, nil
}
