package schedulewords

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/lnquy/cron"
)

// describer is made once, because it compiles expressions. It changes nothing when it is used.
var describer = sync.OnceValue(func() *cron.ExpressionDescriptor {
	d, err := cron.NewDescriptor(cron.Use24HourTimeFormat(true))
	if err != nil {
		panic("the English words are in the library: " + err.Error())
	}
	return d
})

var (
	plainTimes = regexp.MustCompile(`^At \d\d:\d\d(( and|,) \d\d:\d\d)*$`)
	special    = regexp.MustCompile(`[LW#]`)
	hash       = regexp.MustCompile(`H(\(|/|$)`)
)

var short = map[string]string{
	"@YEARLY": "0 0 1 1 *", "@ANNUALLY": "0 0 1 1 *", "@MONTHLY": "0 0 1 * *", "@WEEKLY": "0 0 * * 0",
	"@DAILY": "0 0 * * *", "@MIDNIGHT": "0 0 * * *", "@HOURLY": "0 * * * *",
}

// Cron writes a cron expression in words: "30 9 * * MON-FRI" is "At 09:30, Monday through Friday".
// It returns "" if the expression says more than the library understands: an H, a step that does
// not divide its field evenly, or two day fields which both have to match.
func Cron(expression string) string {
	expression = strings.ToUpper(strings.TrimSpace(expression))
	if long, is := short[expression]; is {
		expression = long
	}
	fields := strings.Fields(expression)
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	if len(fields) != 6 || !isUnderstood(fields) {
		return ""
	}
	text, err := describer().ToDescription(strings.Join(fields, " "), cron.Locale_en)
	if err != nil {
		return ""
	}
	if plainTimes.MatchString(text) {
		return "Every day a" + text[1:]
	}
	return text
}

// isUnderstood reports whether the library says what we mean. The fields begin with the second.
func isUnderstood(fields []string) bool {
	for n, size := range []int{60, 60, 24, 0, 12, 0} { // a step of days never divides them evenly
		field := fields[n]
		_, step, isStepped := strings.Cut(field, "/")
		isList := strings.Contains(field, ",")
		switch {
		case hash.MatchString(field):
			return false
		case isList && (isStepped || n != 4 && special.MatchString(strings.NewReplacer("WED", "", "JUL", "").Replace(field))):
			return false
		}
		if every, err := strconv.Atoi(step); isStepped && (err != nil || every < 1 || size == 0 || size%every != 0) {
			return false
		}
	}
	day, weekday := fields[3], fields[5]
	isStar := func(field string) bool { return field == "*" || field == "?" }
	return isStar(day) || isStar(weekday) || !strings.ContainsAny(day[:1]+weekday[:1], "*?")
}
