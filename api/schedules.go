package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/clock"
	"punctual/internal/instant"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

// PreviewSchedule says when a schedule would be due.
func (s *handlers) PreviewSchedule(ctx context.Context, r server.PreviewScheduleRequestObject) (server.PreviewScheduleResponseObject, error) {
	now, err := s.queries.DatabaseTime(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the time: %w", err)
	}
	in := r.Body
	job := db.Job{
		IntervalSeconds: in.IntervalInSeconds, Cron: in.Cron, RunAt: decodeInstant(in.RunAt),
		StartAt: decodeInstant(in.StartAt), EndAt: decodeInstant(in.EndAt),
	}
	if job.ID, err = uuid.NewV7(); err != nil {
		return nil, fmt.Errorf("make a job id: %w", err)
	}
	if wrong := defineSchedule(&job, in.TimeZone, nil, now); len(wrong) > 0 {
		return server.PreviewSchedule400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, wrong...),
		}, nil
	}
	after := now
	if in.After != nil {
		after = in.After.Time
	}
	items, err := upcoming(job, after, orDefault(in.Count, defaultOccurrences))
	if err != nil {
		return nil, err
	}
	return server.PreviewSchedule200JSONResponse{Items: items}, nil
}

// ListUpcoming says when a job is due next.
func (s *handlers) ListUpcoming(ctx context.Context, r server.ListUpcomingRequestObject) (server.ListUpcomingResponseObject, error) {
	row, err := s.queries.GetJob(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return server.ListUpcoming404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	next := encodeJob(row).NextRunAt
	if next == nil {
		return server.ListUpcoming200JSONResponse{Items: []server.Occurrence{}}, nil
	}
	now, err := s.queries.DatabaseTime(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the time: %w", err)
	}
	left := runsLeft(row)
	if !row.ScheduledFor.After(now) {
		left-- // the run that is due, or executes
	}
	count := min(int64(orDefault(r.Params.Count, defaultOccurrences)), left)
	items, err := upcoming(row.Job, clock.Later(next.Add(-time.Microsecond), now), int32(count))
	if err != nil {
		return nil, err
	}
	return server.ListUpcoming200JSONResponse{Items: items}, nil
}

// upcoming returns the next occurrences of a job after an instant.
func upcoming(job db.Job, after time.Time, count int32) ([]server.Occurrence, error) {
	when, err := policy.Preview(&job)
	if err != nil {
		return nil, err
	}
	zone := time.UTC
	if job.TimeZone != nil {
		if zone, err = policy.LoadZone(*job.TimeZone); err != nil {
			return nil, err
		}
	}
	items := []server.Occurrence{}
	for next, ok := when.Next(after); ok && len(items) < int(count); next, ok = when.Next(next) {
		cron, isCron := when.Grid.(schedule.Cron)
		items = append(items, server.Occurrence{
			ScheduledFor:       instant.Time{Time: next},
			LocalTime:          next.In(zone).Format(time.RFC3339Nano),
			MovedByClockChange: isCron && cron.Moved(next.Add(-when.Jitter)),
		})
	}
	return items, nil
}
