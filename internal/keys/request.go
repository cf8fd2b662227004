package keys

import (
	"slices"
	"time"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/instant"
	"punctual/internal/jobs"
)

// Request says what a new key is to be. The contract has checked the form of each field.
type Request struct {
	Description string
	Scopes      []access.Scope
	// Queues are the queues that a key with the scope workers serves. Nil: all of its namespace.
	Queues []string
	// ExpiresAt is when the key becomes invalid. Nil: never.
	ExpiresAt *time.Time
	// RequestsPerSecond bounds the requests of the key. Nil: unbounded.
	RequestsPerSecond *int32
	// IsServiceWide makes a key for all namespaces.
	IsServiceWide bool
}

// check returns a jobs.Invalid if there cannot be such a key.
func (r Request) check(by access.Caller, now time.Time) error {
	var wrong []jobs.Field
	if r.ExpiresAt != nil && !r.ExpiresAt.After(now) {
		wrong = append(wrong, jobs.Field{Name: "expiresAt", Code: jobs.InThePast, Detail: "must be in the future"})
	}
	if r.Queues != nil && !slices.Contains(r.Scopes, access.Workers) {
		wrong = append(wrong, jobs.Field{
			Name: "queues", Code: jobs.Conflicting, Detail: "are only for a key with the scope " + string(access.Workers),
		})
	}
	if r.IsServiceWide && !by.IsServiceWide {
		wrong = append(wrong, jobs.Field{
			Name: "isServiceWide", Code: jobs.NotAllowed, Detail: "is only for callers who are not bound to a namespace themselves",
		})
	}
	return jobs.InvalidIfAny(wrong)
}

func (r Request) params(by access.Caller, plain Plain, now time.Time) db.CreateKeyParams {
	digest := plain.digest()
	params := db.CreateKeyParams{
		ID: plain.ID(), SecretSha256: digest[:], Description: r.Description, Queues: r.Queues,
		RequestsPerSecond: r.RequestsPerSecond, CreatedAt: now, CreatedBy: by.Actor, ExpiresAt: r.ExpiresAt,
	}
	for _, scope := range r.Scopes {
		params.Scopes = append(params.Scopes, string(scope))
	}
	if !r.IsServiceWide {
		params.Namespace = &by.Namespace
	}
	return params
}

// created is what the audit says of a new key.
type created struct {
	Scopes        []access.Scope `json:"scopes"`
	Queues        []string       `json:"queues,omitempty"`
	ExpiresAt     *instant.Time  `json:"expiresAt,omitempty"`
	IsServiceWide bool           `json:"isServiceWide,omitempty"`
}

func (r Request) result() created {
	c := created{Scopes: r.Scopes, Queues: r.Queues, IsServiceWide: r.IsServiceWide}
	if r.ExpiresAt != nil {
		c.ExpiresAt = &instant.Time{Time: *r.ExpiresAt}
	}
	return c
}
