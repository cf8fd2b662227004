package ui

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"punctual/internal/durations"
)

// jobField is a field of a job, or of its target, in the form. Its name is the API's.
type jobField struct {
	name string
	as   fieldForm
}

// fieldForm is how a value of the API is written in a field of a form.
type fieldForm struct {
	// show writes a value that is not null.
	show func(*page, json.RawMessage) string
	// read reads what is entered, which is not empty, and says what is wrong with it.
	read func(*page, string) (value any, wrong string)
	// empty is the value of an empty field; nil is null.
	empty any
}

// The forms of fields.
var (
	asText   = fieldForm{show: showText, read: func(_ *page, text string) (any, string) { return text, "" }}
	asWords  = fieldForm{show: showText, read: asText.read, empty: ""} // a text that is never null
	asNumber = fieldForm{show: showRaw, read: readNumber}
	asSpan   = fieldForm{show: showSpan, read: readSpan}
	asSwitch = fieldForm{show: showSwitch, read: func(_ *page, text string) (any, string) { return text == "true", "" }, empty: false}
	asJSON   = fieldForm{show: func(_ *page, raw json.RawMessage) string { return indented(raw) }, read: readJSON}
	asTime   = fieldForm{show: showTime, read: readTime}
	asList   = fieldForm{show: showList, read: func(_ *page, text string) (any, string) { return split(text), "" }, empty: []string{}}
	asCodes  = fieldForm{show: showList, read: readCodes, empty: []int{}}
	asLines  = fieldForm{show: showList, read: func(_ *page, text string) (any, string) { return strings.Fields(text), "" }}
	asPairs  = fieldForm{show: showPairs(": "), read: readPairs(":"), empty: map[string]*string{}}
	asLabels = fieldForm{show: showPairs("="), read: readPairs("="), empty: map[string]*string{}}
)

// The fields of a job, besides its key, its schedule and its target.
var jobFields = []jobField{
	{"name", asText},
	{"description", asWords},
	{"labels", asLabels},
	{"payload", asJSON},
	{"startAt", asTime},
	{"endAt", asTime},
	{"maxRuns", asNumber},
	{"jitterSeconds", asSpan},
	{"skipOn", asList},
	{"onlyOn", asList},
	{"onSkipped", asText},
	{"deleteAfterCompletion", asSwitch},
	{"misfirePolicy", asText},
	{"catchupWindowSeconds", asSpan},
	{"overlapPolicy", asText},
	{"maxAttempts", asNumber},
	{"minBackoffSeconds", asSpan},
	{"maxBackoffSeconds", asSpan},
	{"attemptDeadlineSeconds", asSpan},
	{"pauseAfterFailures", asNumber},
	{"lateAfterSeconds", asSpan},
	{"alertAfterFailures", asNumber},
	{"expectSuccessWithinSeconds", asSpan},
	{"runHistory", asText},
	{"concurrencyGroup", asText},
	{"maxConcurrency", asNumber},
	{"metrics", asSwitch},
	{"publicBadge", asSwitch},
}

// targetFields are the fields of each type of target.
var targetFields = map[string][]jobField{
	"log":    nil,
	"worker": {{"queue", asText}},
	"http": {
		{"connection", asText},
		{"path", asText},
		{"url", asText},
		{"method", asText},
		{"headers", asPairs},
		{"secretHeaders", asPairs},
		{"body", asText},
		{"expectStatus", asCodes},
		{"retryOn", asCodes},
		{"followRedirects", asSwitch},
		{"signingSecrets", asLines},
	},
}

// scheduleFields are the fields of each kind of schedule. The first one is what the kind is called.
var scheduleFields = map[string][]jobField{
	"cron":              {{"cron", asText}, {"timeZone", asText}},
	"rrule":             {{"rrule", asText}, {"timeZone", asText}},
	"intervalInSeconds": {{"intervalInSeconds", asSpan}},
	"runAt":             {{"runAt", asTime}},
	"onDemand":          nil,
	"startsOn":          nil,
}

// isNull reports whether a value is missing or null.
func isNull(raw json.RawMessage) bool { return raw == nil || string(raw) == "null" }

func showRaw(_ *page, raw json.RawMessage) string { return string(raw) }

func showText(_ *page, raw json.RawMessage) (text string) {
	_ = json.Unmarshal(raw, &text) // what is no text is shown as none
	return text
}

func showSwitch(_ *page, raw json.RawMessage) string {
	if string(raw) == "true" {
		return "true"
	}
	return ""
}

// showSpan writes seconds as people enter them: 5m.
func showSpan(_ *page, raw json.RawMessage) string {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return string(raw)
	}
	return durations.Interval(time.Duration(n) * time.Second)
}

// readSpan reads seconds, or a time with units.
func readSpan(_ *page, text string) (any, string) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, ""
	}
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	switch {
	case err != nil:
		return nil, "is no time such as 90, 90s, 5m or 1h30m"
	case d%time.Second != 0:
		return nil, "is no number of whole seconds"
	default:
		return int64(d / time.Second), ""
	}
}

func readNumber(_ *page, text string) (any, string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, "is no whole number"
	}
	return n, ""
}

func readJSON(_ *page, text string) (any, string) {
	if !json.Valid([]byte(text)) {
		return nil, "is no JSON: a text stands in quotes"
	}
	return json.RawMessage(text), ""
}

func showTime(p *page, raw json.RawMessage) string {
	var at time.Time
	if json.Unmarshal(raw, &at) != nil {
		return ""
	}
	return p.fieldInstant(&at)
}

func readTime(p *page, text string) (any, string) {
	at, err := p.instant("", text)
	if err != nil {
		return nil, "is no time such as 2040-01-31T09:30"
	}
	return at, ""
}

// split reads a list whose items are separated by commas or spaces.
func split(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
}

func showList(_ *page, raw json.RawMessage) string {
	var list []json.RawMessage
	_ = json.Unmarshal(raw, &list) // what is no list is shown as none
	var texts []string
	for _, item := range list {
		texts = append(texts, strings.Trim(string(item), `"`))
	}
	return strings.Join(texts, ", ")
}

func readCodes(_ *page, text string) (any, string) {
	codes := []int{}
	for _, item := range split(text) {
		code, err := strconv.Atoi(item)
		if err != nil {
			return nil, item + " is no number"
		}
		codes = append(codes, code)
	}
	return codes, ""
}

// showPairs writes an object of texts with a line for each.
func showPairs(between string) func(*page, json.RawMessage) string {
	return func(_ *page, raw json.RawMessage) string {
		var pairs map[string]string
		_ = json.Unmarshal(raw, &pairs) // what is none is shown as none
		var lines []string
		for name, value := range pairs {
			lines = append(lines, name+between+value)
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
}

// readPairs reads an object of texts. Labels may be separated by commas, too.
func readPairs(between string) func(*page, string) (any, string) {
	return func(_ *page, text string) (any, string) {
		if between == "=" {
			text = strings.ReplaceAll(text, ",", "\n")
		}
		pairs := map[string]*string{}
		for line := range strings.SplitSeq(text, "\n") {
			name, value, is := strings.Cut(line, between)
			switch name = strings.TrimSpace(name); {
			case strings.TrimSpace(line) == "":
			case !is || name == "":
				return nil, "a line is a name, " + between + " and a value: " + line
			default:
				pairs[name] = new(strings.TrimSpace(value))
			}
		}
		return pairs, ""
	}
}

// entered returns what stands in a field, with the ends of lines and texts as people mean them.
func entered(values url.Values, name string) string {
	return strings.TrimSpace(unixLines(strings.Join(values[name], ",")))
}
