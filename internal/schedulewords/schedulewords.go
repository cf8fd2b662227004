// Package schedulewords writes schedules for people. It is pure.
package schedulewords

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"punctual/gen/client"
	"punctual/internal/durations"
)

// Schedule is the schedule of a job. One of its fields says when the job is due, besides the zone.
type Schedule struct {
	Cron, Rrule *string
	// TimeZone is the zone of Cron and Rrule; nil is UTC.
	TimeZone *string
	// IntervalInSeconds is the time from one occurrence to the next.
	IntervalInSeconds *int64
	RunAt             *time.Time
	OnDemand          bool
	// StartsOn are the types of the events that start the job.
	StartsOn []string
}

// Of returns the schedule of a job.
func Of(job client.Job) Schedule {
	s := Schedule{
		Cron: job.Cron, Rrule: job.Rrule, TimeZone: job.TimeZone, IntervalInSeconds: job.IntervalInSeconds, RunAt: job.RunAt,
		OnDemand: job.OnDemand,
	}
	if job.StartsOn != nil {
		for _, event := range job.StartsOn.Events {
			s.StartsOn = append(s.StartsOn, string(event))
		}
	}
	return s
}

// Raw returns the schedule as it was written, without its zone.
func (s Schedule) Raw() string {
	switch {
	case s.Cron != nil:
		return *s.Cron
	case s.Rrule != nil:
		return rule(*s.Rrule)
	case s.IntervalInSeconds != nil:
		return "every " + durations.Interval(time.Duration(*s.IntervalInSeconds)*time.Second)
	case s.RunAt != nil:
		return "once"
	case s.OnDemand:
		return "on demand"
	case len(s.StartsOn) > 0:
		return "by events"
	default:
		return "-"
	}
}

// Words returns the schedule in words, or "" if the words would say less than Raw, or what is not
// so.
func (s Schedule) Words() string {
	switch {
	case s.Cron != nil:
		return Cron(*s.Cron)
	case s.Rrule != nil:
		return ruleWords(*s.Rrule)
	case s.IntervalInSeconds != nil:
		return "Every " + interval(*s.IntervalInSeconds)
	case s.RunAt != nil:
		return "Once"
	case s.OnDemand:
		return "On demand"
	case len(s.StartsOn) > 0:
		return "On " + strings.Join(s.StartsOn, ", ")
	default:
		return ""
	}
}

// Zone returns the name of the zone in which the schedule is written, or "" if it needs none.
func (s Schedule) Zone() string {
	switch {
	case s.Cron == nil && s.Rrule == nil:
		return ""
	case s.TimeZone == nil:
		return "UTC"
	default:
		return *s.TimeZone
	}
}

// interval writes seconds with the largest unit of which they are a multiple.
func interval(seconds int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}} {
		switch {
		case seconds == unit.size:
			return unit.name
		case seconds%unit.size == 0:
			return strconv.FormatInt(seconds/unit.size, 10) + " " + unit.name + "s"
		}
	}
	return ""
}

// rule returns the rule of a recurrence rule, without the lines beside it.
func rule(text string) string {
	_, rule, _ := strings.Cut(strings.ToUpper(text), "RRULE:")
	rule, _, _ = strings.Cut(rule, "\n")
	return strings.TrimSpace(rule)
}

// ruleWords says how often a recurrence rule is due. What else it has is in the rule itself.
func ruleWords(text string) string {
	unit, every := "", "1"
	for part := range strings.SplitSeq(rule(text), ";") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "FREQ":
			unit = map[string]string{"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}[value]
		case "INTERVAL":
			every = value
		}
	}
	switch {
	case unit == "":
		return ""
	case every == "1":
		return "Every " + unit + ", by a rule"
	default:
		return fmt.Sprintf("Every %s %ss, by a rule", every, unit)
	}
}
