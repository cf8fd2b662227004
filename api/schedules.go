package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/instant"
	"punctual/internal/jobs"
	"punctual/internal/labels"
)

// PreviewSchedule says when a schedule would be due.
func (s *handlers) PreviewSchedule(ctx context.Context, r server.PreviewScheduleRequestObject) (server.PreviewScheduleResponseObject, error) {
	in := r.Body
	given := jobs.Change{
		IntervalSeconds: jobs.Given(in.IntervalInSeconds), Cron: jobs.Given(in.Cron), TimeZone: jobs.Given(in.TimeZone),
		RunAt: jobs.Given(decodeInstant(in.RunAt)), StartAt: jobs.Given(decodeInstant(in.StartAt)),
		EndAt: jobs.Given(decodeInstant(in.EndAt)), Rrule: jobs.Given(in.Rrule),
		SkipOn: jobs.Given(orDefault(in.SkipOn, nil)), OnlyOn: jobs.Given(orDefault(in.OnlyOn, nil)),
		OnSkipped: jobs.Given(db.OnSkipped(orDefault(in.OnSkipped, server.OnSkippedDROP))),
	}
	all, err := s.Jobs.Preview(ctx, access.From(ctx), given, decodeInstant(in.After), int(orDefault(in.Count, defaultOccurrences)))
	if err != nil {
		return nil, fmt.Errorf("preview a schedule: %w", err)
	}
	return server.PreviewSchedule200JSONResponse{Items: encodeAll(all, encodeOccurrence)}, nil
}

// ListUpcoming says when a job is due next.
func (s *handlers) ListUpcoming(ctx context.Context, r server.ListUpcomingRequestObject) (server.ListUpcomingResponseObject, error) {
	all, err := s.Jobs.Upcoming(ctx, access.From(ctx), r.Id, int(orDefault(r.Params.Count, defaultOccurrences)))
	if err != nil {
		return nil, fmt.Errorf("list a job's next occurrences: %w", err)
	}
	return server.ListUpcoming200JSONResponse{Items: encodeAll(all, encodeOccurrence)}, nil
}

// ListUpcomingRuns says when all jobs are due next.
func (s *handlers) ListUpcomingRuns(ctx context.Context, r server.ListUpcomingRunsRequestObject) (server.ListUpcomingRunsResponseObject, error) {
	selector, err := labels.ParseSelector(orDefault(r.Params.LabelSelector, ""))
	if err != nil {
		return nil, invalidQuery("labelSelector", jobs.WrongFormat, err.Error())
	}
	all, completeUntil, err := s.Jobs.UpcomingRuns(
		ctx, access.From(ctx), selector, decodeInstant(r.Params.To), orDefault(r.Params.Limit, defaultUpcoming),
	)
	if invalid, ok := errors.AsType[*jobs.Invalid](err); ok { // which speaks of the query
		return nil, invalidQuery(invalid.Fields[0].Name, invalid.Fields[0].Code, invalid.Fields[0].Detail)
	}
	if err != nil {
		return nil, fmt.Errorf("list the next occurrences of all jobs: %w", err)
	}
	return server.ListUpcomingRuns200JSONResponse{
		CompleteUntil: instant.Time{Time: completeUntil},
		Items: encodeAll(all, func(run jobs.UpcomingRun) server.UpcomingRun {
			return server.UpcomingRun{
				ScheduledFor: instant.Time{Time: run.ScheduledFor}, JobId: run.JobID, JobKey: run.JobKey, JobName: run.JobName,
			}
		}),
	}, nil
}

func encodeOccurrence(o jobs.Occurrence) server.Occurrence {
	return server.Occurrence{
		ScheduledFor: instant.Time{Time: o.ScheduledFor}, LocalTime: o.LocalTime.Format(time.RFC3339Nano),
		MovedByClockChange: o.IsMoved, MovedByCalendar: o.IsMovedByCalendar,
	}
}
