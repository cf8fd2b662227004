package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/instant"
	"punctual/internal/jobs"
	"punctual/internal/runid"
)

// ListRecentRuns reads the latest runs of some jobs.
func (s *handlers) ListRecentRuns(ctx context.Context, r server.ListRecentRunsRequestObject) (server.ListRecentRunsResponseObject, error) {
	found, err := s.Jobs.RecentRuns(ctx, access.From(ctx), r.Params.JobId, orDefault(r.Params.Count, jobs.MaxRecent))
	if err != nil {
		return nil, fmt.Errorf("list the latest runs of jobs: %w", err)
	}
	list := server.RecentRunList{Items: make([]server.RecentRuns, 0, len(found))}
	for _, id := range r.Params.JobId {
		if runs := found[id]; len(runs) > 0 {
			list.Items = append(list.Items, server.RecentRuns{JobId: id, Runs: encodeAll(runs, encodeRecentRun)})
		}
	}
	return server.ListRecentRuns200JSONResponse(list), nil
}

func encodeRecentRun(row jobs.RecentRun) server.RecentRun {
	out := server.RecentRun{
		Id: runid.New(row.JobID, row.ScheduledFor), Status: server.RunStatus(row.Status), Reason: (*server.RunReason)(row.Reason),
		Trigger: server.RunTrigger(row.Trigger), ScheduledFor: instant.Time{Time: row.ScheduledFor}, Occurrences: int64(row.Occurrences),
	}
	out.LatenessMilliseconds, out.DurationMilliseconds = durationsOf(row.ScheduledFor, row.StartedAt, row.FinishedAt)
	return out
}
