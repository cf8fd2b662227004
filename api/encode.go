package api

import (
	"encoding/json"
	"fmt"
	"time"

	"punctual/gen/server"
	"punctual/internal/events"
	"punctual/internal/instant"
	"punctual/internal/jobs"
	"punctual/internal/labels"
	"punctual/internal/runid"
	"punctual/internal/traceid"
)

// What the contract says where a request says nothing.
const (
	defaultLimit       int32 = 10
	defaultOccurrences int32 = 10
	defaultTroubled    int32 = 50
	defaultUpcoming    int32 = 500
)

// encodeJob makes the API's job of a view of one.
func encodeJob(view jobs.View) server.Job {
	job := view.Job
	out := server.Job{
		Id: job.ID, Namespace: job.Namespace, Key: job.Key, Name: job.Name, Description: job.Description,
		Labels: encodeLabels(job.Labels), Payload: job.Payload, Target: job.Target, TargetSecrets: job.SecretNames,
		IntervalInSeconds: job.IntervalSeconds, Cron: job.Cron, Rrule: job.Rrule, TimeZone: job.TimeZone, RunAt: encodeInstant(job.RunAt),
		OnDemand: job.OnDemand, SkipOn: append([]string{}, job.SkipOn...), OnlyOn: append([]string{}, job.OnlyOn...), OnSkipped: server.OnSkipped(job.OnSkipped),
		LateAfterSeconds: job.LateAfterSeconds, AlertAfterFailures: int32(job.AlertAfterFailures), ExpectSuccessWithinSeconds: job.ExpectSuccessWithinSeconds,
		FailingSince: encodeInstant(job.FailingSince), OverdueSince: encodeInstant(view.OverdueSince),
		StartAt: encodeInstant(job.StartAt), EndAt: encodeInstant(job.EndAt), MaxRuns: job.MaxRuns,
		JitterSeconds: job.JitterSeconds, DeleteAfterCompletion: job.DeleteAfterCompletion,
		MisfirePolicy: server.MisfirePolicy(job.MisfirePolicy), CatchupWindowSeconds: job.CatchupWindowSeconds,
		OverlapPolicy: server.OverlapPolicy(job.OverlapPolicy), MaxAttempts: int32(job.MaxAttempts),
		MinBackoffSeconds: job.MinBackoffSeconds, MaxBackoffSeconds: job.MaxBackoffSeconds,
		AttemptDeadlineSeconds: job.AttemptDeadlineSeconds, RunHistory: server.RunHistory(job.RunHistory),
		ConcurrencyGroup: job.ConcurrencyGroup, MaxConcurrency: job.MaxConcurrency,
		Metrics: job.Metrics, PublicBadge: job.PublicBadge,
		Status: server.JobStatus(job.Status), StatusReason: job.StatusReason,
		PauseUntil: encodeInstant(job.PauseUntil), PauseId: job.PauseID,
		RunCount: view.RunCount, LastRunAt: encodeInstant(view.LastRunAt), NextRunAt: encodeInstant(view.NextRunAt),
		LastRun: encodeLastRun(view), ConsecutiveFailures: view.ConsecutiveFailures, IsRunning: view.IsRunning,
		Health:    server.JobHealth(view.Health),
		CreatedAt: instant.Time{Time: job.CreatedAt}, Version: job.Version,
		UpdatedAt: instant.Time{Time: job.UpdatedAt}, UpdatedBy: job.UpdatedBy,
	}
	if job.StartsOn != nil {
		out.StartsOn = new(events.StartsOn)
		_ = json.Unmarshal(job.StartsOn, out.StartsOn) // package jobs has encoded it
	}
	if job.PauseAfterFailures != nil {
		out.PauseAfterFailures = new(int32(*job.PauseAfterFailures))
	}
	return out
}

func encodeLastRun(view jobs.View) *server.LastRun {
	last := view.LastRun
	if last == nil {
		return nil
	}
	return &server.LastRun{
		Id: runid.New(view.Job.ID, last.ScheduledFor), Status: server.EndedRunStatus(last.Status), Reason: (*server.RunReason)(last.Reason),
		ScheduledFor: instant.Time{Time: last.ScheduledFor}, FinishedAt: encodeInstant(last.FinishedAt), Error: last.Error,
	}
}

// encodeLabels makes the API's labels of a job's: none are an empty object.
func encodeLabels(set labels.Set) server.Labels {
	if set == nil {
		return server.Labels{}
	}
	return server.Labels(set)
}

// encodeFound is encodeRun for a run that was looked for.
func (s *handlers) encodeFound(run jobs.Run, err error) (server.Run, error) {
	if err != nil {
		return server.Run{}, err
	}
	return s.encodeRun(run)
}

// encodeRun makes the API's run of the database's.
func (s *handlers) encodeRun(row jobs.Run) (server.Run, error) {
	failed := []server.FailedAttempt{}
	if row.FailedAttempts != nil {
		if err := json.Unmarshal(row.FailedAttempts, &failed); err != nil {
			return server.Run{}, fmt.Errorf("failed attempts: %w", err)
		}
	}
	out := server.Run{
		Id:             runid.New(row.JobID, row.ScheduledFor),
		JobId:          row.JobID,
		Status:         server.RunStatus(row.Status),
		Reason:         (*server.RunReason)(row.Reason),
		StatusReason:   row.StatusReason,
		Trigger:        server.RunTrigger(row.Trigger),
		ScheduledFor:   instant.Time{Time: row.ScheduledFor},
		Attempt:        int32(row.Attempt),
		StartedAt:      encodeInstant(row.StartedAt),
		FinishedAt:     encodeInstant(row.FinishedAt),
		Error:          row.Error,
		FailedAttempts: failed,
		Occurrences:    int64(row.Occurrences),
		ExecutedBy:     row.ExecutedBy,

		JobKey:            row.JobKey,
		CancelRequestedAt: encodeInstant(row.CancelRequestedAt),
		Payload:           row.Payload, CausedBy: row.CausedBy, WaitingFor: (*server.RunWaitingFor)(row.WaitingFor),
	}
	if row.JobDeletedAt == nil {
		out.JobName = &row.JobName
	}
	out.LatenessMilliseconds, out.DurationMilliseconds = durationsOf(row.ScheduledFor, row.StartedAt, row.FinishedAt)
	if s.Traces != nil {
		out.TraceId = new(traceid.OfRun(out.Id).TraceID().String())
	}
	if row.FinishedAt != nil && row.Attempt > 0 {
		out.JobVersion = new(orDefault(row.JobVersion, 1))
	}
	if row.RetryOf != nil {
		out.RetryOf = new(runid.New(row.JobID, *row.RetryOf))
	}
	if row.Result != nil {
		if err := json.Unmarshal(row.Result, &out.Result); err != nil {
			return server.Run{}, fmt.Errorf("result: %w", err)
		}
	}
	return out, nil
}

// durationsOf returns how late a run started and how long it took, in milliseconds; nil if it has
// not started, or not ended.
func durationsOf(scheduledFor time.Time, startedAt, finishedAt *time.Time) (lateness, duration *int64) {
	if startedAt == nil {
		return nil, nil
	}
	lateness = new(startedAt.Sub(scheduledFor).Milliseconds())
	if finishedAt != nil {
		duration = new(finishedAt.Sub(*startedAt).Milliseconds())
	}
	return lateness, duration
}

func encodeInstant(t *time.Time) *instant.Time {
	if t == nil {
		return nil
	}
	return &instant.Time{Time: *t}
}

// encodeAll maps items; an empty list is one, not null.
func encodeAll[From, To any](items []From, encode func(From) To) []To {
	out := make([]To, 0, len(items))
	for _, item := range items {
		out = append(out, encode(item))
	}
	return out
}

// encodeEach is encodeAll for what may fail.
func encodeEach[From, To any](items []From, encode func(From) (To, error)) ([]To, error) {
	out := make([]To, len(items))
	for i, item := range items {
		var err error
		if out[i], err = encode(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decodeInstant(t *instant.Time) *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

func orDefault[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}
