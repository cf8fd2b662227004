package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/jobs"
	"punctual/internal/labels"
)

// ChangeRuns retries or cancels many runs.
func (s *handlers) ChangeRuns(ctx context.Context, r server.ChangeRunsRequestObject) (server.ChangeRunsResponseObject, error) {
	bulk, err := decodeRunBulk(*r.Body)
	if err != nil {
		return nil, err
	}
	done, err := s.Jobs.ChangeRuns(ctx, access.From(ctx), bulk)
	if err != nil {
		return nil, fmt.Errorf("change many runs: %w", err)
	}
	result := server.RunBulkResult{DryRun: bulk.IsDryRun}
	of := map[server.BulkResult]int32{}
	result.Items = encodeAll(done.Items, func(item jobs.RunBulkItem) server.BulkRun {
		out := server.BulkRun{Id: item.ID, JobId: item.JobID, RunId: item.Retry}
		out.Result, out.Code, out.Detail = s.outcome(ctx, item.Err, item.IsChanged)
		of[out.Result]++
		return out
	})
	result.Changed, result.Unchanged, result.Failed = of[server.BulkResultCHANGED], of[server.BulkResultUNCHANGED], of[server.BulkResultFAILED]
	if done.Next != nil {
		result.NextCursor = new(cursor{done.Next.At, done.Next.Job}.String())
	}
	return server.ChangeRuns200JSONResponse(result), nil
}

// decodeRunBulk returns what a request asks for. The error is an Invalid.
func decodeRunBulk(r server.RunBulk) (b jobs.RunBulk, err error) {
	of := r.Selector
	b = jobs.RunBulk{
		Action: jobs.BulkAction(r.Action), IDs: orDefault(of.Ids, nil), IsDryRun: orDefault(r.DryRun, false), Max: orDefault(r.Limit, maxBulk),
		Filter: jobs.RunFilter{
			JobID: of.JobId, Statuses: texts(of.Status), Reasons: texts(of.Reason), Triggers: texts(of.Trigger),
			From: decodeInstant(of.From), To: decodeInstant(of.To),
		},
	}
	var wrong []jobs.Field
	if b.Filter.IsEmpty() {
		wrong = append(wrong, jobs.Field{Name: "selector.from", Code: jobs.Conflicting, Detail: "must be before to"})
	}
	if of.LabelSelector != nil {
		selector, err := labels.ParseSelector(*of.LabelSelector)
		if err != nil {
			wrong = append(wrong, jobs.Field{Name: "selector.labelSelector", Code: jobs.WrongFormat, Detail: err.Error()})
		}
		b.Filter.Labels = selector
	}
	after := cursor{at: clock.EndOfTime}
	if r.Cursor != nil {
		if after, err = parseCursor(*r.Cursor); err != nil {
			wrong = append(wrong, jobs.Field{Name: "cursor", Code: jobs.WrongFormat, Detail: err.Error()})
		}
	}
	b.After = history.Place{At: after.at, Job: after.id}
	return b, jobs.InvalidIfAny(wrong)
}
