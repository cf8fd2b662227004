package jobs

import (
	"cmp"
	"context"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/audit"
)

// result is what came of an operation: some fields of the contract's AuditResult.
type result map[string]any

// auditJob writes to the audit that the caller has done something to the job.
func (e *edit) auditJob(ctx context.Context, operation string, came result) error {
	return audit.Record(ctx, e.Queries, e.by, audit.Entry{
		Operation: operation, Type: audit.Job, ID: e.job.ID.String(), Result: came,
	})
}

// auditChange is auditJob for a change that may be a part of another operation.
func (e *edit) auditChange(ctx context.Context, operation string, came result) error {
	if e.bulk == nil {
		return e.auditJob(ctx, cmp.Or(e.operation, operation), came)
	}
	came["action"] = e.bulk.Action
	if e.bulk.Reason != nil {
		came["statusReason"] = *e.bulk.Reason
	}
	if e.bulk.Action == BulkPause {
		came["pauseId"] = e.bulk.PauseID
	}
	return e.auditJob(ctx, "changeJobs", came)
}

// auditRun writes to the audit that the caller has done something to a run of the job.
func (e *edit) auditRun(ctx context.Context, operation string, run uuid.UUID, came result) error {
	came["jobId"] = e.job.ID
	return audit.Record(ctx, e.Queries, e.by, audit.Entry{
		Operation: operation, Type: audit.Run, ID: run.String(), Result: came,
	})
}

// auditStart writes to the audit that the caller has started a run.
func (e *edit) auditStart(ctx context.Context, what start, run uuid.UUID) error {
	if what.trigger == db.RunTriggerMANUAL {
		return e.auditChange(ctx, "runJob", result{"runId": run})
	}
	return e.auditRun(ctx, "retryRun", what.repeated, result{"runId": run})
}

// changedFields returns the names in the contract of the fields in which two definitions of a job
// differ. What only follows from other fields is not among them.
func changedFields(before, after *Definition) []string {
	names := []string{}
	a, b := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	for field := range effects {
		name := nameOf(field)
		if name != "" && !isSame(a.FieldByName(field).Interface(), b.FieldByName(field).Interface()) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// nameOf returns the name in the contract of a field of a definition, or the empty name if a
// request does not give it.
func nameOf(field string) string {
	if field == "SealedSecrets" {
		return "targetSecrets"
	}
	given, ok := reflect.TypeFor[Change]().FieldByName(field)
	if !ok {
		return ""
	}
	return given.Tag.Get("json")
}
