// Package access says who calls, in which namespace, and what they may do there.
package access

import (
	"context"
	"regexp"
	"slices"
)

// DefaultNamespace is the namespace of those who name none.
const DefaultNamespace = "default"

// namespacePattern is that of the contract, and of the table namespaces.
var namespacePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// IsNamespace reports whether a namespace can have a name.
func IsNamespace(name string) bool { return namespacePattern.MatchString(name) }

// Scope is a right, as openapi.yaml names it in x-required-scope.
type Scope string

// The scopes. None of them includes another.
const (
	JobsRead         Scope = "jobs:read"
	JobsWrite        Scope = "jobs:write"
	RunsWrite        Scope = "runs:write"
	ConnectionsWrite Scope = "connections:write"
	Workers          Scope = "workers"
	MetricsRead      Scope = "metrics:read"
	Admin            Scope = "admin"
)

// Scopes lists all scopes.
var Scopes = []Scope{JobsRead, JobsWrite, RunsWrite, ConnectionsWrite, Workers, MetricsRead, Admin}

// Caller is who makes a request. The zero Caller may do nothing, in no namespace.
type Caller struct {
	// Actor names the caller in the audit: key:<id>, user:<subject of a token>, command, anonymous
	// or system.
	Actor string
	// Namespace is where everything is that the request reads or changes. What is elsewhere does
	// not exist for the caller.
	Namespace string
	// Scopes are what the caller may do.
	Scopes []Scope
	// Queues are the queues that the caller may serve as a worker, by their names within the
	// namespace. Nil: all.
	Queues []string
	// IsServiceWide says that the caller is not bound to one namespace, so that it may change
	// namespaces.
	IsServiceWide bool
	// Choose returns the caller in a namespace, or in the usual one of the caller if the name is
	// empty, if what the caller may do depends on the namespace. Nil: it does not.
	Choose func(namespace string) (Caller, error)
	// RequestsPerSecond bounds the requests of this caller. Nil: unbounded.
	RequestsPerSecond *int32
	// Limits are those of the namespace.
	Limits Limits
	// RequestID is the id of the request, as in the log, or empty.
	RequestID string
}

// Limits are the bounds of a namespace. Nil: none.
type Limits struct {
	MaxJobs, MinIntervalSeconds, RequestsPerSecond, RunRetentionDays *int32
	// IsSuspended says that nothing in the namespace is executed, so nothing new may begin.
	IsSuspended bool
	// Cell is the one in which the namespace is (internal/cells).
	Cell string
}

// May reports whether the caller has a scope.
func (c Caller) May(scope Scope) bool { return slices.Contains(c.Scopes, scope) }

// MayServe reports whether the caller may lease the runs of a queue.
func (c Caller) MayServe(queue string) bool {
	return c.Queues == nil || slices.Contains(c.Queues, queue)
}

// Anonymous returns who calls where nobody has to say who they are: a caller who may do everything.
func Anonymous(namespace string) Caller {
	return Caller{Actor: anonymousActor, Namespace: namespace, Scopes: Scopes, IsServiceWide: true}
}

// IsAnonymous reports whether the caller did not have to say who they are.
func (c Caller) IsAnonymous() bool { return c.Actor == anonymousActor }

// Command returns the operator at the command line, who has the database and may do everything.
func Command(namespace string) Caller {
	return Caller{Actor: "command", Namespace: namespace, Scopes: Scopes, IsServiceWide: true}
}

// System returns the service itself, for what it changes of its own accord: it pauses a job after
// failures, for example.
func System(namespace string) Caller { return Caller{Actor: systemActor, Namespace: namespace} }

// IsSystem reports whether the caller is the service itself.
func (c Caller) IsSystem() bool { return c.Actor == systemActor }

const (
	anonymousActor = "anonymous"
	systemActor    = "system"
)

type callerKey struct{}

// With returns a context that carries the caller of a request, from the middleware to the handler.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller of a request: the zero Caller if there is none.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

type recheckKey struct{}

// WithRecheck returns a context in which Recheck calls check.
func WithRecheck(ctx context.Context, check func(context.Context) error) context.Context {
	return context.WithValue(ctx, recheckKey{}, check)
}

// Recheck returns an error if the credentials of a request are no longer valid. It is for what
// happens long after the request came: somebody may have revoked its key since then.
func Recheck(ctx context.Context) error {
	if check, ok := ctx.Value(recheckKey{}).(func(context.Context) error); ok {
		return check(ctx)
	}
	return nil
}
