package schedule

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

const (
	// maxRuleCount is the largest COUNT: the occurrences of such a rule are kept in memory.
	maxRuleCount = 366
	// maxRuleInterval is the largest INTERVAL.
	maxRuleInterval = 1000
	// maxRulePerDay is how many times of a day a rule may name, as many as there are minutes.
	maxRulePerDay = 1440
)

// A RuleError says what is wrong with a recurrence rule, for the person who wrote it.
type RuleError struct{ Reason string }

func (e *RuleError) Error() string { return "rrule: " + e.Reason }

func wrongRule(format string, args ...any) error { return &RuleError{fmt.Sprintf(format, args...)} }

// ParseRule reads a recurrence rule for a time zone: a line with DTSTART, a line with RRULE, and
// any number of lines with EXDATE, in any order. Errors are of type *RuleError.
//
// All times are local times of the zone, without a zone of their own; only UNTIL may end with Z,
// and is in UTC then, as RFC 5545 wants it. A date stands for its midnight, and as UNTIL for its
// end. A frequency is DAILY or less often: what is more frequent is for intervals and cron
// expressions. A rule that can never be due is an error.
func ParseRule(text string, zone *time.Location) (*Rule, error) {
	r := &Rule{zone: zone, until: math.MaxInt64}
	var start time.Time
	var rule string
	for line := range strings.FieldsFuncSeq(upper(text), func(c rune) bool { return c == '\n' || c == '\r' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, params, hasParams := strings.Cut(name, ";")
		isDate := params == "VALUE=DATE" || params == "VALUE=DATE-TIME"
		switch {
		case strings.HasPrefix(params, "TZID="):
			return nil, wrongRule("%s has a TZID; give the time zone as timeZone", name)
		case strings.HasPrefix(name, "FREQ="):
			return nil, wrongRule("a line with a rule begins with RRULE:, such as RRULE:FREQ=WEEKLY;BYDAY=TU")
		case hasParams && (!isDate || name != "DTSTART" && name != "EXDATE"):
			return nil, wrongRule("the parameter %s of %s is not known", quote(params), quote(name))
		case name == "DTSTART" && !start.IsZero() || name == "RRULE" && rule != "":
			return nil, wrongRule("there is more than one %s", name)
		case name == "DTSTART":
			at, err := localTime(value)
			if err != nil {
				return nil, wrongRule("DTSTART %s", err)
			}
			start = at
		case name == "RRULE":
			rule = value
		case name == "EXDATE":
			for date := range strings.SplitSeq(value, ",") {
				at, err := localTime(date)
				if err != nil {
					return nil, wrongRule("EXDATE %s", err)
				}
				r.except = append(r.except, wall(at.Unix()))
			}
		default:
			return nil, wrongRule("%s is not known; there are DTSTART, RRULE and EXDATE, each on a line of its own", quote(name))
		}
	}
	slices.Sort(r.except)
	switch {
	case start.IsZero():
		return nil, wrongRule("it needs a line with DTSTART, such as DTSTART:20260106T090000")
	case rule == "":
		return nil, wrongRule("it needs a line with RRULE, such as RRULE:FREQ=WEEKLY;BYDAY=TU")
	}
	return r, r.parse(rule, start)
}

// localTime reads a time, or a date for its midnight.
func localTime(text string) (time.Time, error) {
	for _, layout := range []string{rrule.LocalDateTimeFormat, rrule.DateFormat} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() >= 1900 {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a local time such as 20260106T090000, from the year 1900 on", quote(text))
}

// parse reads the RRULE.
func (r *Rule) parse(text string, start time.Time) error {
	parts := []string{}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case seen[name]:
			return wrongRule("there is more than one %s", quote(name))
		case name == "BYEASTER", name == "DTSTART": // which the library knows besides
			return wrongRule("%s is not known", quote(name))
		case name == "UNTIL":
			if err := r.parseUntil(value); err != nil {
				return err
			}
		default:
			parts = append(parts, part)
		}
		seen[name] = true
	}
	options, err := rrule.StrToROption(strings.Join(parts, ";"))
	if err != nil {
		return wrongRule("%s", err)
	}
	switch {
	case options.Freq > rrule.DAILY:
		return wrongRule("FREQ=%s is not supported; use intervalInSeconds or cron for what is due more than daily", options.Freq)
	case seen["INTERVAL"] && (options.Interval < 1 || options.Interval > maxRuleInterval):
		return wrongRule("INTERVAL is not within 1 to %d", maxRuleInterval)
	case seen["COUNT"] && (options.Count < 1 || options.Count > maxRuleCount):
		return wrongRule("COUNT is not within 1 to %d; the job's maxRuns has no such bound", maxRuleCount)
	case seen["COUNT"] && seen["UNTIL"]:
		return wrongRule("only one of COUNT and UNTIL can be given")
	}
	for _, day := range options.Byweekday {
		if day.N() != 0 && options.Freq > rrule.MONTHLY {
			return wrongRule("BYDAY=%s has a number, which means something in months and years only; "+
				"every second week is INTERVAL=2", day)
		}
	}
	options.Interval = max(options.Interval, 1)
	options.Byhour, options.Byminute, options.Bysecond = compact(options.Byhour), compact(options.Byminute), compact(options.Bysecond)
	options.Dtstart = start
	rule, err := rrule.NewRRule(*options)
	if err != nil {
		return wrongRule("%s", err)
	}
	r.start = wall(start.Unix())
	r.complete(rule.Options, start)
	if r.PerDay() > maxRulePerDay {
		return wrongRule("it names more than %d times of a day", maxRulePerDay)
	}
	if r.isListed = options.Count > 0; r.isListed {
		r.listed = r.first(options.Count)
	}
	for range r.shownAfter(r.start - 1) {
		return nil
	}
	return wrongRule("it would never be due")
}

// first returns the first local times, as many as there are.
func (r *Rule) first(count int) (all []wall) {
	for shown := range r.search(r.start - 1) {
		if all = append(all, shown); len(all) == count {
			break
		}
	}
	return all
}

// compact sorts a list and leaves out what is in it twice.
func compact(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}

// parseUntil reads UNTIL.
func (r *Rule) parseUntil(text string) error {
	if at, err := time.Parse(rrule.DateTimeFormat, text); err == nil {
		_, offset := offsetAt(r.zone, at.Unix())
		r.until = wall(at.Unix() + offset)
		return nil
	}
	at, err := localTime(text)
	if err != nil {
		return wrongRule("UNTIL %s", err)
	}
	if r.until = wall(at.Unix()); len(text) == len(rrule.DateFormat) {
		r.until += secondsPerDay - 1
	}
	return nil
}

// complete fills in what a rule takes from its start, so that a search may begin elsewhere.
func (r *Rule) complete(options rrule.ROption, start time.Time) {
	options.Count = 0
	if options.Byhour == nil {
		options.Byhour = []int{start.Hour()}
	}
	if options.Byminute == nil {
		options.Byminute = []int{start.Minute()}
	}
	if options.Bysecond == nil {
		options.Bysecond = []int{start.Second()}
	}
	midnight := start.Truncate(secondsPerDay * time.Second)
	switch options.Freq {
	case rrule.YEARLY:
		midnight = midnight.AddDate(0, 0, 1-midnight.YearDay())
	case rrule.MONTHLY:
		midnight = midnight.AddDate(0, 0, 1-midnight.Day())
	case rrule.WEEKLY:
		sinceMonday := (int(midnight.Weekday()) + 6) % 7
		midnight = midnight.AddDate(0, 0, -((sinceMonday - options.Wkst.Day() + 7) % 7))
	default: // a day is the longest period that is left
	}
	options.Dtstart = midnight
	r.options = options
}
