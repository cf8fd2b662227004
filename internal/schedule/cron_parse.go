package schedule

import (
	"strconv"
	"strings"
	"time"
)

// ParseCron reads a cron expression for a time zone, UTC if it is nil. Errors are of type
// *CronError.
//
// The five fields, separated by spaces or tabs, are minute (0-59), hour (0-23), day of month
// (1-31), month (1-12 or JAN-DEC) and day of week (0-7 or SUN-SAT; 0 and 7 are Sunday). If there
// are six, the first is the second (0-59); otherwise the second is 0. Case does not matter. A field
// is a list, separated by commas, of
//
//	a  a-b   a value, a range; one that ends before it begins goes on from the first value:
//	         22-2 in hours is 22, 23, 0, 1, 2, and FRI-MON is four days
//	*  ?     every value; ? in the day fields only
//	x/n      of *, a range, or a to the last value: every n-th, from the first on
//	H        one value that the seed picks; a day of month is at most the 28th, which all have
//	H(a-b)   one value of a range; H/n and H(a-b)/n are every n-th, from one of the first n on
//	L  L-n   in day of month: the last day, n days before the last
//	nW  LW   in day of month: the day from Monday to Friday that is nearest to day n, to the last
//	         day, in the same month
//	dL  d#n  in day of week: the last such day of the month, the n-th
//
// @yearly (@annually), @monthly, @weekly, @daily (@midnight) and @hourly stand for the usual
// expressions.
//
// The two day fields combine as in Vixie's cron. A date has to match at least one of them: "0 0 13
// * FRI" is each 13th and each Friday. If one of them begins with * or ?, a date has to match both:
// "0 0 * * FRI" is each Friday, and "0 0 */2 * FRI" each Friday with an odd date.
//
// The seed should be the same at each call for one job, and differ between jobs: see Seed.
//
// An expression that can never be due is an error. So is a time zone in front of it, which belongs
// in a field of its own.
func ParseCron(expression string, zone *time.Location, seed uint64) (Cron, error) {
	if zone == nil {
		zone = time.UTC
	}
	expression = upper(strings.Trim(expression, " \t"))
	if strings.HasPrefix(expression, "CRON_TZ=") || strings.HasPrefix(expression, "TZ=") {
		return Cron{}, wrong("a time zone cannot be given inside the expression; give it as timeZone")
	}
	if strings.HasPrefix(expression, "@") {
		meaning, err := macro(expression)
		if err != nil {
			return Cron{}, err
		}
		expression = meaning
	}
	texts := strings.FieldsFunc(expression, func(r rune) bool { return r == ' ' || r == '\t' })
	switch len(texts) {
	case 0:
		return Cron{}, wrong("it is empty")
	case 5:
		texts = append([]string{"0"}, texts...)
	case 6:
	default:
		return Cron{}, wrong("it needs 5 fields (minute, hour, day of month, month, day of week), " +
			"or 6 with the second in front; this has " + strconv.Itoa(len(texts)))
	}
	var sets [6]fieldSet
	for i, text := range texts {
		set, err := fields[i].parse(text, mix(seed^mix(uint64(i))))
		if err != nil {
			return Cron{}, err
		}
		sets[i] = set
	}
	minutes, hours := sets[1], sets[2]
	c := Cron{calendar: newCalendar(sets), zone: zone, fixed: !minutes.open && !hours.open}
	if err := c.calendar.check(); err != nil {
		return Cron{}, err
	}
	return c, nil
}

// IsSeeded reports whether the seed makes a difference for an expression: whether one of its fields
// has an H, which only Thursday has otherwise.
func IsSeeded(expression string) bool {
	expression = upper(strings.Trim(expression, " \t"))
	return !strings.HasPrefix(expression, "@") && strings.Contains(strings.ReplaceAll(expression, "THU", ""), "H")
}

func wrong(reason string) error { return &CronError{Field: "expression", Reason: reason} }

// upper maps ASCII letters only: no other letter is to be taken for one of them.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func macro(name string) (string, error) {
	switch name {
	case "@YEARLY", "@ANNUALLY":
		return "0 0 1 1 *", nil
	case "@MONTHLY":
		return "0 0 1 * *", nil
	case "@WEEKLY":
		return "0 0 * * 0", nil
	case "@DAILY", "@MIDNIGHT":
		return "0 0 * * *", nil
	case "@HOURLY":
		return "0 * * * *", nil
	case "@REBOOT":
		return "", wrong("@reboot is not supported; a job has no machine that boots")
	}
	if strings.HasPrefix(name, "@EVERY") {
		return "", wrong("@every is not supported; give a fixed interval as intervalInSeconds")
	}
	return "", wrong(quote(name) + " is unknown; there are @yearly, @monthly, @weekly, @daily and @hourly")
}

// newCalendar takes the fields from second to day of week.
func newCalendar(sets [6]fieldSet) calendar {
	second, minute, hour, day, month, weekday := sets[0], sets[1], sets[2], sets[3], sets[4], sets[5]
	c := calendar{
		seconds: second.values,
		minutes: minute.values,
		hours:   hour.values,
		months:  month.values,
		days:    day.values,
		daysEnd: day.fromEnd,
		nearest: day.nearest,
		weekEnd: weekday.last,
		either:  !day.star && !weekday.star,
	}
	for week := range c.weeks {
		c.weeks[week] = weekday.values | weekday.nth[week]
	}
	return c
}

// check refuses a calendar that names no time at all, and says which field is to blame.
func (c *calendar) check() error {
	// The calendar repeats itself, weekdays included, after 400 years.
	var (
		from  = wall(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
		until = wall(time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	)
	if _, ok := c.first(from, until); ok {
		return nil
	}
	anyWeekday := *c
	anyWeekday.weekEnd = dayOfWeek.every()
	for week := range anyWeekday.weeks {
		anyWeekday.weeks[week] = dayOfWeek.every()
	}
	if _, ok := anyWeekday.first(from, until); ok {
		return &CronError{
			Field:  dayOfWeek.name,
			Reason: "no month has such a day of week on such a day of month, so it would never be due",
		}
	}
	return &CronError{Field: dayOfMonth.name, Reason: "the month has no such day, so it would never be due"}
}
