package jobs

import (
	"time"

	"punctual/gen/db"
)

// createParams returns what stores a new job.
func createParams(j *Definition, now time.Time) db.CreateJobParams {
	return db.CreateJobParams{
		ID: j.ID, Namespace: j.Namespace, Key: j.Key, Name: j.Name, Description: j.Description, Labels: j.Labels, Payload: j.Payload,
		Target: j.Target, SealedSecrets: j.SealedSecrets, SecretsKeyID: j.SecretsKeyID, SecretNames: j.SecretNames, SecretsDigest: j.SecretsDigest,
		IntervalSeconds: j.IntervalSeconds, AnchorAt: j.AnchorAt, Cron: j.Cron, Rrule: j.Rrule, TimeZone: j.TimeZone,
		RunAt: j.RunAt, OnDemand: j.OnDemand, StartsOn: j.StartsOn,
		StartAt: j.StartAt, EndAt: j.EndAt, MaxRuns: j.MaxRuns, JitterSeconds: j.JitterSeconds,
		SkipOn: j.SkipOn, OnlyOn: j.OnlyOn, OnSkipped: j.OnSkipped, CalendarDays: j.CalendarDays,
		DeleteAfterCompletion: j.DeleteAfterCompletion,
		MisfirePolicy:         j.MisfirePolicy, CatchupWindowSeconds: j.CatchupWindowSeconds, OverlapPolicy: j.OverlapPolicy,
		MaxAttempts: j.MaxAttempts, MinBackoffSeconds: j.MinBackoffSeconds, MaxBackoffSeconds: j.MaxBackoffSeconds,
		AttemptDeadlineSeconds: j.AttemptDeadlineSeconds, PauseAfterFailures: j.PauseAfterFailures, RunHistory: j.RunHistory,
		LateAfterSeconds: j.LateAfterSeconds, AlertAfterFailures: j.AlertAfterFailures, ExpectSuccessWithinSeconds: j.ExpectSuccessWithinSeconds,
		ConcurrencyGroup: j.ConcurrencyGroup, MaxConcurrency: j.MaxConcurrency, Metrics: j.Metrics, PublicBadge: j.PublicBadge,
		CreatedAt: now, UpdatedBy: j.UpdatedBy,
	}
}

// copyParams returns what stores a new job together with others.
func copyParams(j *Definition) db.CopyJobsParams {
	return db.CopyJobsParams{
		ID: j.ID, Namespace: j.Namespace, Key: j.Key, Name: j.Name, Description: j.Description, Labels: j.Labels, Payload: j.Payload,
		Target: j.Target, SealedSecrets: j.SealedSecrets, SecretsKeyID: j.SecretsKeyID, SecretNames: j.SecretNames, SecretsDigest: j.SecretsDigest,
		IntervalSeconds: j.IntervalSeconds, AnchorAt: j.AnchorAt, Cron: j.Cron, Rrule: j.Rrule, TimeZone: j.TimeZone,
		RunAt: j.RunAt, OnDemand: j.OnDemand, StartsOn: j.StartsOn,
		StartAt: j.StartAt, EndAt: j.EndAt, MaxRuns: j.MaxRuns, JitterSeconds: j.JitterSeconds,
		SkipOn: j.SkipOn, OnlyOn: j.OnlyOn, OnSkipped: j.OnSkipped, CalendarDays: j.CalendarDays,
		DeleteAfterCompletion: j.DeleteAfterCompletion,
		MisfirePolicy:         j.MisfirePolicy, CatchupWindowSeconds: j.CatchupWindowSeconds, OverlapPolicy: j.OverlapPolicy,
		MaxAttempts: j.MaxAttempts, MinBackoffSeconds: j.MinBackoffSeconds, MaxBackoffSeconds: j.MaxBackoffSeconds,
		AttemptDeadlineSeconds: j.AttemptDeadlineSeconds, PauseAfterFailures: j.PauseAfterFailures, RunHistory: j.RunHistory,
		LateAfterSeconds: j.LateAfterSeconds, AlertAfterFailures: j.AlertAfterFailures, ExpectSuccessWithinSeconds: j.ExpectSuccessWithinSeconds,
		ConcurrencyGroup: j.ConcurrencyGroup, MaxConcurrency: j.MaxConcurrency, Metrics: j.Metrics, PublicBadge: j.PublicBadge,
		Status: j.Status, CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt, UpdatedBy: j.UpdatedBy,
	}
}

// updateParams returns what stores an edited job.
func updateParams(j *Definition) db.UpdateJobParams {
	return db.UpdateJobParams{
		ID: j.ID, Name: j.Name, Description: j.Description, Labels: j.Labels, Payload: j.Payload,
		Target: j.Target, SealedSecrets: j.SealedSecrets, SecretsKeyID: j.SecretsKeyID, SecretNames: j.SecretNames, SecretsDigest: j.SecretsDigest,
		IntervalSeconds: j.IntervalSeconds, AnchorAt: j.AnchorAt, Cron: j.Cron, Rrule: j.Rrule, TimeZone: j.TimeZone,
		RunAt: j.RunAt, OnDemand: j.OnDemand, StartsOn: j.StartsOn,
		StartAt: j.StartAt, EndAt: j.EndAt, MaxRuns: j.MaxRuns, JitterSeconds: j.JitterSeconds,
		SkipOn: j.SkipOn, OnlyOn: j.OnlyOn, OnSkipped: j.OnSkipped, CalendarDays: j.CalendarDays, RanAheadFrom: j.RanAheadFrom, RanAheadUntil: j.RanAheadUntil,
		DeleteAfterCompletion: j.DeleteAfterCompletion,
		MisfirePolicy:         j.MisfirePolicy, CatchupWindowSeconds: j.CatchupWindowSeconds, OverlapPolicy: j.OverlapPolicy,
		MaxAttempts: j.MaxAttempts, MinBackoffSeconds: j.MinBackoffSeconds, MaxBackoffSeconds: j.MaxBackoffSeconds,
		AttemptDeadlineSeconds: j.AttemptDeadlineSeconds, PauseAfterFailures: j.PauseAfterFailures, RunHistory: j.RunHistory,
		LateAfterSeconds: j.LateAfterSeconds, AlertAfterFailures: j.AlertAfterFailures, ExpectSuccessWithinSeconds: j.ExpectSuccessWithinSeconds,
		ConcurrencyGroup: j.ConcurrencyGroup, MaxConcurrency: j.MaxConcurrency, Metrics: j.Metrics, PublicBadge: j.PublicBadge,
		Status: j.Status, StatusReason: j.StatusReason, PausedSince: j.PausedSince, PauseUntil: j.PauseUntil, PauseID: j.PauseID, PausedByService: j.PausedByService,
		LastRunAt:  j.LastRunAt,
		LastRunFor: j.LastRunFor, LastRunStatus: j.LastRunStatus, Failures: j.Failures, FailingSince: j.FailingSince, RunCount: j.RunCount, Suspended: j.Suspended,
		Version: j.Version, UpdatedAt: j.UpdatedAt, UpdatedBy: j.UpdatedBy, SecretsVersion: j.SecretsVersion,
	}
}

// firstOrNil returns the first occurrence of a job, or nil for a job that has none.
func firstOrNil(first time.Time) *time.Time {
	if first.IsZero() {
		return nil
	}
	return &first
}
