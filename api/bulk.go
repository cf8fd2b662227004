package api

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/jobs"
	"punctual/internal/labels"
)

// maxBulk is how many jobs a request handles that does not say how many.
const maxBulk int32 = 1000

// ChangeJobs does one thing to many jobs.
func (s *handlers) ChangeJobs(ctx context.Context, r server.ChangeJobsRequestObject) (server.ChangeJobsResponseObject, error) {
	if by := access.From(ctx); r.Body.Action == server.JobBulkActionRUN && !by.May(access.RunsWrite) {
		return nil, errScope(access.RunsWrite)
	}
	bulk, err := decodeBulk(*r.Body)
	if err != nil {
		return nil, err
	}
	done, err := s.Jobs.ChangeMany(ctx, access.From(ctx), bulk)
	if err != nil {
		return nil, fmt.Errorf("change many jobs: %w", err)
	}
	result := server.JobBulkResult{
		Matched: int64(min(done.Matched, jobs.MaxMatched)), MatchedIsCapped: done.Matched > jobs.MaxMatched,
		DryRun: bulk.IsDryRun, PauseId: done.PauseID,
	}
	of := map[server.BulkResult]int32{}
	result.Items = encodeAll(done.Items, func(item jobs.BulkItem) server.BulkJob {
		out := server.BulkJob{Id: item.ID, Key: item.Key, Name: item.Name, RunId: item.Run}
		out.Result, out.Code, out.Detail = s.outcome(ctx, item.Err, item.IsChanged)
		of[out.Result]++
		return out
	})
	result.Changed, result.Unchanged, result.Failed = of[server.BulkResultCHANGED], of[server.BulkResultUNCHANGED], of[server.BulkResultFAILED]
	if done.Last != nil {
		result.NextCursor = new(bulkCursor{*done.Last, orDefault(done.PauseID, uuid.UUID{})}.String())
	}
	return server.ChangeJobs200JSONResponse(result), nil
}

// decodeBulk returns what a request asks for. The error is an Invalid if it gives what does not
// belong to its action.
func decodeBulk(r server.JobBulk) (b jobs.Bulk, err error) {
	b = jobs.Bulk{
		Action: jobs.BulkAction(r.Action), Reason: r.Reason, PauseUntil: decodeInstant(r.PauseUntil),
		IsDryRun: orDefault(r.DryRun, false), Max: orDefault(r.Limit, maxBulk),
	}
	var wrong []jobs.Field
	only := func(field string, isGiven bool, action jobs.BulkAction) {
		if isGiven && b.Action != action {
			wrong = append(wrong,
				jobs.Field{Name: field, Code: jobs.Conflicting, Detail: "can be given only with the action " + string(action)},
				jobs.Field{Name: "action", Code: jobs.Conflicting, Detail: "does not take " + field})
		}
	}
	only(patchField, r.Patch != nil, jobs.BulkPatch)
	only("pauseUntil", r.PauseUntil != nil, jobs.BulkPause)
	only("pauseId", r.PauseId != nil, jobs.BulkPause)
	if b.Action == jobs.BulkPatch && r.Patch == nil {
		wrong = append(wrong, jobs.Field{Name: patchField, Code: jobs.Required, Detail: "must be given with the action PATCH"})
	}
	if r.Patch != nil {
		b.Patch = *r.Patch
	}
	if r.Cursor != nil {
		at, err := parseBulkCursor(*r.Cursor)
		if err != nil {
			wrong = append(wrong, jobs.Field{Name: "cursor", Code: jobs.WrongFormat, Detail: err.Error()})
		}
		b.After, b.PauseID = at.last, at.pause
	}
	b.PauseID = orDefault(r.PauseId, b.PauseID)
	filter, faults := decodeSelector(r.Selector)
	b.Filter = filter
	for _, fault := range faults {
		fault.Name = "selector." + fault.Name
		wrong = append(wrong, fault)
	}
	return b, jobs.InvalidIfAny(wrong)
}

// decodeSelector returns which jobs a selector means, and its fields that are wrong.
func decodeSelector(r server.JobSelector) (f jobs.Filter, wrong []jobs.Field) {
	f = jobs.Filter{
		IDs: orDefault(r.Ids, nil), Keys: orDefault(r.Keys, nil), Name: orDefault(r.Name, ""), KeyPrefix: orDefault(r.KeyPrefix, ""),
		TargetType: string(orDefault(r.TargetType, "")), Queue: orDefault(r.Queue, ""), ConcurrencyGroup: orDefault(r.ConcurrencyGroup, ""),
		PauseID: r.PauseId,
	}
	for _, status := range orDefault(r.Status, nil) {
		f.Statuses = append(f.Statuses, db.JobStatus(status))
	}
	for _, status := range orDefault(r.LastRunStatus, nil) {
		f.LastRunStatuses = append(f.LastRunStatuses, db.RunStatus(status))
	}
	for _, health := range orDefault(r.Health, nil) {
		f.Health = append(f.Health, jobs.Health(health))
	}
	if r.Connection != nil {
		if r.Queue != nil {
			wrong = append(wrong, jobs.Field{Name: "connection", Code: jobs.Conflicting, Detail: "cannot be given together with queue"})
		}
		f.Connection = *r.Connection
	}
	var err error
	if f.Labels, err = labels.ParseSelector(orDefault(r.LabelSelector, "")); err != nil {
		wrong = append(wrong, jobs.Field{Name: "labelSelector", Code: jobs.WrongFormat, Detail: err.Error()})
	}
	return f, wrong
}

// bulkCursor is where a bulk change goes on: after a job, and with which pause, so that the request
// which is repeated with it need not name the pause.
type bulkCursor struct{ last, pause uuid.UUID }

func (c bulkCursor) String() string {
	return base64.RawURLEncoding.EncodeToString(append(c.last[:], c.pause[:]...))
}

func parseBulkCursor(text string) (c bulkCursor, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != len(c.last)+len(c.pause) {
		return c, errCursor
	}
	return bulkCursor{uuid.UUID(raw[:len(c.last)]), uuid.UUID(raw[len(c.last):])}, nil
}
