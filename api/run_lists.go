package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/instant"
	"punctual/internal/jobs"
	"punctual/internal/labels"
)

// ListRuns reads a page of the runs of all jobs.
func (s *handlers) ListRuns(ctx context.Context, r server.ListRunsRequestObject) (server.ListRunsResponseObject, error) {
	p := r.Params
	filter, err := decodeRunFilter(p.Status, p.Reason, p.Trigger, p.From, p.To)
	if err != nil {
		return nil, err
	}
	filter.JobID = p.JobId
	if p.LabelSelector != nil {
		selector, err := labels.ParseSelector(*p.LabelSelector)
		if err != nil {
			return nil, invalidQuery("labelSelector", jobs.WrongFormat, err.Error())
		}
		filter.Labels = selector
	}
	page, err := s.runPage(p.Cursor, p.Limit, func(after history.Place, limit int32) ([]jobs.Run, *history.Place, error) {
		return s.Jobs.FindRuns(ctx, access.From(ctx), filter, after, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return server.ListRuns200JSONResponse(page), nil
}

// ListJobRuns reads a page of a job's runs.
func (s *handlers) ListJobRuns(ctx context.Context, r server.ListJobRunsRequestObject) (server.ListJobRunsResponseObject, error) {
	p := r.Params
	filter, err := decodeRunFilter(p.Status, p.Reason, p.Trigger, p.From, p.To)
	if err != nil {
		return nil, err
	}
	// Nothing ties a job's runs to the job, so whether there is such a job has to be asked.
	if _, err := s.Jobs.Get(ctx, access.From(ctx), r.Id); err != nil {
		return nil, fmt.Errorf("list a job's runs: %w", err)
	}
	page, err := s.runPage(p.Cursor, p.Limit, func(after history.Place, limit int32) ([]jobs.Run, *history.Place, error) {
		return s.Jobs.FindRunsOf(ctx, access.From(ctx), r.Id, filter, after, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("list a job's runs: %w", err)
	}
	return server.ListJobRuns200JSONResponse(page), nil
}

// runPage makes a page of what find returns after a place: at most so many runs, and where the list
// goes on.
func (s *handlers) runPage(given *string, limit *int32, find func(after history.Place, limit int32) ([]jobs.Run, *history.Place, error)) (page server.RunPage, err error) {
	page.Limit = orDefault(limit, defaultLimit)
	after, err := decodeCursor(given, cursor{at: clock.EndOfTime})
	if err != nil {
		return page, err
	}
	runs, next, err := find(history.Place{At: after.at, Job: after.id}, page.Limit)
	if err != nil {
		return page, err
	}
	if next != nil {
		page.NextCursor = new(cursor{next.At, next.Job}.String())
	}
	page.Items, err = encodeEach(runs, s.encodeRun)
	return page, err
}

// decodeRunFilter returns which runs the parameters of a list mean.
func decodeRunFilter(
	statuses *[]server.RunStatus, reasons *[]server.RunReasonGiven, triggers *[]server.RunTrigger, from, to *instant.Time,
) (jobs.RunFilter, error) {
	f := jobs.RunFilter{
		Statuses: texts(statuses), Reasons: texts(reasons), Triggers: texts(triggers), From: decodeInstant(from), To: decodeInstant(to),
	}
	if f.IsEmpty() {
		return f, invalidQuery("from", jobs.Conflicting, "must be before to")
	}
	return f, nil
}

// texts returns values of an enumeration as texts.
func texts[T ~string](values *[]T) (all []string) {
	for _, value := range orDefault(values, nil) {
		all = append(all, string(value))
	}
	return all
}
