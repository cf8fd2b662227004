package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"punctual/gen/client"
	"punctual/internal/durations"
)

// attempts says how often, how far apart and how long a run is tried.
func attempts(job client.Job) string {
	deadline := "at most " + seconds(int64(job.AttemptDeadlineSeconds))
	if job.MaxAttempts == 1 {
		return "1, " + deadline
	}
	return fmt.Sprintf("%d, %s each, %s to %s apart", job.MaxAttempts, deadline,
		seconds(int64(job.MinBackoffSeconds)), seconds(int64(job.MaxBackoffSeconds)))
}

func seconds(n int64) string { return durations.Interval(time.Duration(n) * time.Second) }

// alerts says what is told about a job.
func alerts(job client.Job) string {
	parts := []string{"after " + counted(int(job.AlertAfterFailures), "failure")}
	if job.ExpectSuccessWithinSeconds != nil {
		parts = append(parts, "without success for "+seconds(*job.ExpectSuccessWithinSeconds))
	}
	if job.LateAfterSeconds != nil {
		parts = append(parts, "when "+seconds(*job.LateAfterSeconds)+" late")
	}
	return strings.Join(parts, ", ")
}

// calendars says which days count.
func calendars(job client.Job) string {
	var parts []string
	if len(job.SkipOn) > 0 {
		parts = append(parts, "not on "+strings.Join(job.SkipOn, ", "))
	}
	if len(job.OnlyOn) > 0 {
		parts = append(parts, "only on "+strings.Join(job.OnlyOn, ", "))
	}
	if parts == nil {
		return ""
	}
	return strings.Join(parts, "; ") + "; other days: " + strings.ToLower(words(string(job.OnSkipped)))
}

// limits says what ends a job, or bounds its runs.
func limits(job client.Job) (parts []string) {
	if job.ConcurrencyGroup != nil {
		parts = append(parts, "at most "+strconv.Itoa(int(deref(job.MaxConcurrency)))+" at a time in the group "+*job.ConcurrencyGroup)
	}
	if job.MaxRuns != nil {
		parts = append(parts, "at most "+counted(int(*job.MaxRuns), "run"))
	}
	if job.PauseAfterFailures != nil {
		parts = append(parts, "pauses after "+counted(int(*job.PauseAfterFailures), "failure"))
	}
	if job.JitterSeconds > 0 {
		parts = append(parts, "up to "+seconds(int64(job.JitterSeconds))+" later than its rule")
	}
	if job.DeleteAfterCompletion {
		parts = append(parts, "is deleted when it is completed")
	}
	return parts
}

// localOf writes an occurrence in the zone of its schedule, if the page shows it in another one.
func (p *page) localOf(o client.Occurrence, zone string) string {
	local, err := time.Parse(time.RFC3339, o.LocalTime)
	if err != nil || p.zoneKind(zone) == "job" || zone == "" || zone == p.location().String() {
		return ""
	}
	return local.Format("Mon 15:04") + " " + zone
}
