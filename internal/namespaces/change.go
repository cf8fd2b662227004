package namespaces

import (
	"context"
	"fmt"
	"slices"
	"time"

	"punctual/gen/db"
	"punctual/internal/jobs"
)

// Change is what a request says of a namespace: of a new one, or of one that is to be changed. Its
// JSON is that of the contract's NamespaceCreate and NamespaceUpdate, which bound each field. Of a
// limit, null means none.
type Change struct {
	// Name is only for a new one, and so is Cell: the name of the cell in which it is to be.
	// Default: the one with the fewest jobs.
	Name               string                    `json:"name"`
	Cell               string                    `json:"cell"`
	Description        jobs.Optional[string]     `json:"description"`
	MaxJobs            jobs.Optional[*int32]     `json:"maxJobs"`
	MinIntervalSeconds jobs.Optional[*int32]     `json:"minIntervalSeconds"`
	RequestsPerSecond  jobs.Optional[*int32]     `json:"requestsPerSecond"`
	RunRetentionDays   jobs.Optional[*int32]     `json:"runRetentionDays"`
	Blackouts          jobs.Optional[[]Blackout] `json:"blackouts"`
	IsSuspended        jobs.Optional[bool]       `json:"suspended"`
}

// applyTo returns a namespace with the fields that the change gives.
func (c Change) applyTo(row db.Namespace) db.Namespace {
	if c.Name != "" {
		row.Name = c.Name
	}
	jobs.Set(&row.Description, c.Description)
	jobs.Set(&row.MaxJobs, c.MaxJobs)
	jobs.Set(&row.MinIntervalSeconds, c.MinIntervalSeconds)
	jobs.Set(&row.RequestsPerSecond, c.RequestsPerSecond)
	jobs.Set(&row.RunRetentionDays, c.RunRetentionDays)
	if c.Blackouts.IsGiven {
		row.Blackouts = encodeBlackouts(c.Blackouts.Value)
	}
	return row
}

// suspendedAt returns since when a namespace is suspended after the change. One that stays
// suspended keeps the instant.
func (c Change) suspendedAt(ctx context.Context, tx *db.Queries, before *time.Time) (*time.Time, error) {
	switch {
	case !c.IsSuspended.IsGiven, c.IsSuspended.Value && before != nil:
		return before, nil
	case !c.IsSuspended.Value:
		return nil, nil
	}
	now, err := tx.DatabaseTime(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the database's time: %w", err)
	}
	return &now, nil
}

// check returns an Invalid if a change is one that the service does not allow.
func (s *Service) check(change Change) error {
	if wrong := checkBlackouts(change.Blackouts.Value); len(wrong) > 0 {
		return &jobs.Invalid{Fields: wrong}
	}
	days := change.RunRetentionDays.Value
	if days == nil || s.RetentionDays == 0 || int(*days) <= s.RetentionDays {
		return nil
	}
	return &jobs.Invalid{Fields: []jobs.Field{{
		Name: "runRetentionDays", Code: jobs.TooLarge,
		Detail: fmt.Sprintf("must be at most %d: no runs are kept longer (RUN_RETENTION_DAYS)", s.RetentionDays),
	}}}
}

// fields returns the names in the contract of the fields that the change gives.
func (c Change) fields() []string {
	names := []string{}
	for name, isGiven := range map[string]bool{
		"name": c.Name != "", "description": c.Description.IsGiven, "maxJobs": c.MaxJobs.IsGiven,
		"minIntervalSeconds": c.MinIntervalSeconds.IsGiven, "requestsPerSecond": c.RequestsPerSecond.IsGiven,
		"runRetentionDays": c.RunRetentionDays.IsGiven, "suspended": c.IsSuspended.IsGiven,
		"blackouts": c.Blackouts.IsGiven,
	} {
		if isGiven {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
