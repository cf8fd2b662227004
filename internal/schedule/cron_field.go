package schedule

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A field is one of the fields of a cron expression: its name in errors and the values that it can
// have.
type field struct {
	name        string
	first, last int
	names       []string // of the values, from first on
	spread      int      // the last value that H may pick, if it is not last
}

// The fields in the order in which they are written.
var (
	fields     = [6]*field{&second, &minute, &hour, &dayOfMonth, &monthOfYear, &dayOfWeek}
	second     = field{name: "second", last: 59}
	minute     = field{name: "minute", last: 59}
	hour       = field{name: "hour", last: 23}
	dayOfMonth = field{name: "day of month", first: 1, last: 31, spread: 28}

	monthOfYear = field{name: "month", first: 1, last: 12, names: []string{
		"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
	}}
	dayOfWeek = field{name: "day of week", last: 6, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
)

// every returns the set of all values.
func (f *field) every() uint64 { return f.stepped(f.first, f.last, 1) }

// stepped returns the set of a, a+n, .. up to b. What is beyond the last value stands for the
// values from the first on.
func (f *field) stepped(a, b, n int) uint64 {
	var set uint64
	for v := a; v <= b; v += n {
		set |= f.bit(v)
	}
	return set
}

// bit returns the set of one value. What is beyond the last one stands for the first ones: the 7 of
// the days of the week is a 0.
func (f *field) bit(v int) uint64 {
	if v > f.last {
		v -= f.size()
	}
	return 1 << v
}

// size returns how many values there are.
func (f *field) size() int { return f.last - f.first + 1 }

// A fieldSet is what is written in one field. In a set bit n stands for the value n.
type fieldSet struct {
	values  uint64
	fromEnd uint64    // days of the month, counted from its end
	nearest uint64    // days of the month for whose nearest working day it stands; bit 0 is the last day
	nth     [5]uint64 // days of the week, in the first to the fifth week of a month
	last    uint64    // days of the week, in the last week of a month
	star    bool      // it begins with * or ?
	open    bool      // it has a * or a step, or every value
}

// parse reads a field. pick chooses for H.
func (f *field) parse(text string, pick uint64) (fieldSet, error) {
	set := fieldSet{star: text[0] == '*' || text[0] == '?'}
	for item := range strings.SplitSeq(text, ",") {
		if reason := f.add(&set, item, pick); reason != "" {
			return fieldSet{}, &CronError{Field: f.name, Reason: reason}
		}
	}
	set.open = set.open || set.values == f.every()
	return set, nil
}

// add reads one item of the list and adds it to the set, or returns what is wrong with it.
func (f *field) add(set *fieldSet, item string, pick uint64) (reason string) {
	if item == "" {
		return "an item of the list is empty"
	}
	base, step, hasStep := strings.Cut(item, "/")
	if !hasStep {
		done, reason := f.addDay(set, base)
		if done || reason != "" {
			return reason
		}
	}
	a, b, reason := f.bounds(base, hasStep)
	if reason != "" {
		return reason
	}
	hashed := strings.HasPrefix(base, "H")
	n := 1
	if hasStep {
		var ok bool
		if n, ok = number(step); !ok {
			return fmt.Sprintf("the step %s is not a number", quote(step))
		}
		if n < 1 {
			return "a step has to be at least 1"
		}
		if size := f.size(); n > size {
			return fmt.Sprintf("the step %s is larger than the %d values that there are", quote(step), size)
		}
	}
	switch {
	case hashed && hasStep:
		a += int(pick % uint64(min(n, b-a+1)))
	case hashed:
		a += int(pick % uint64(b-a+1))
		b = a
	}
	set.values |= f.stepped(a, b, n)
	set.open = set.open || hasStep || base == "*"
	return ""
}

// addDay adds what only the day fields know: L, W and #. done says that the item was one of those.
func (f *field) addDay(set *fieldSet, item string) (done bool, reason string) {
	switch {
	case f == &dayOfMonth && item == "L":
		set.fromEnd |= 1
	case f == &dayOfMonth && strings.HasPrefix(item, "L-"):
		n, ok := number(item[2:])
		if !ok || n > 30 {
			return false, quote(item) + " is not the last day less 0 to 30 days, such as L-3"
		}
		set.fromEnd |= 1 << n
	case f == &dayOfMonth && item == "LW":
		set.nearest |= 1
	case f == &dayOfMonth && strings.HasSuffix(item, "W"):
		day, reason := f.value(item[:len(item)-1])
		if reason != "" {
			return false, quote(item) + " is not the working day nearest to a day of the month, such as 15W or LW"
		}
		set.nearest |= f.bit(day)
	case f == &dayOfWeek && strings.HasSuffix(item, "L"):
		day, reason := f.value(item[:len(item)-1])
		if reason != "" {
			return false, quote(item) + " is not the last of a day of the week, such as 5L or FRIL"
		}
		set.last |= f.bit(day)
	case f == &dayOfWeek && strings.Contains(item, "#"):
		name, week, _ := strings.Cut(item, "#")
		day, reason := f.value(name)
		n, ok := number(week)
		if reason != "" || !ok || n < 1 || n > len(set.nth) {
			return false, quote(item) + " is not the first to fifth of a day of the week, such as MON#2"
		}
		set.nth[n-1] |= f.bit(day)
	default:
		return false, ""
	}
	return true, ""
}

// bounds reads what stands before a step: a range, or what stands for one. One value is the range
// to the last one if a step follows it, else of itself alone.
func (f *field) bounds(text string, hasStep bool) (a, b int, reason string) {
	inner, hashed := strings.CutPrefix(text, "H(")
	inner, closed := strings.CutSuffix(inner, ")")
	switch {
	case text == "*":
		return f.first, f.last, ""
	case text == "?" && f != &dayOfMonth && f != &dayOfWeek:
		return 0, 0, "? stands in the day fields only; write *"
	case text == "?":
		return f.first, f.last, ""
	case text == "H":
		return f.first, f.lastSpread(), ""
	case hashed && !closed:
		return 0, 0, quote(text) + " is not like H(0-29)"
	case !hashed:
		inner = text
	}
	from, to, isRange := strings.Cut(inner, "-")
	switch {
	case hashed && !isRange:
		return 0, 0, quote(text) + " is not like H(0-29)"
	case isRange && (from == "" || to == ""):
		return 0, 0, quote(inner) + " is not a range: an end is missing"
	case inner == "":
		return 0, 0, "a step needs something before it, such as */5"
	}
	if a, reason = f.value(from); reason != "" {
		return 0, 0, reason
	}
	switch {
	case isRange:
		if b, reason = f.value(to); reason != "" {
			return 0, 0, reason
		}
	case hasStep:
		b = f.last
	default:
		b = a
	}
	if f == &dayOfWeek && (isRange || hasStep) {
		a, b = week(a, b)
	}
	if a > b {
		b += f.size() // it goes on from the first value
	}
	if hashed && b > f.lastSpread() && f == &dayOfMonth {
		return 0, 0, "H picks a day up to 28 only, since some months have no later ones"
	}
	return a, b, ""
}

func (f *field) lastSpread() int {
	if f.spread != 0 {
		return f.spread
	}
	return f.last
}

// week reads Sunday as the first day of a range that begins with it and as the last of one that
// ends with it.
func week(a, b int) (int, int) {
	if a == 7 && b < 7 {
		a = 0
	}
	if b == 0 && a > 0 {
		b = 7
	}
	return a, b
}

// value reads a number or a name.
func (f *field) value(text string) (v int, reason string) {
	for i, name := range f.names {
		if name == text {
			return f.first + i, ""
		}
	}
	v, ok := number(text)
	if !ok {
		return 0, quote(text) + f.hint(text)
	}
	last := f.last
	if f == &dayOfWeek {
		last = 7
	}
	if v < f.first || v > last {
		return 0, fmt.Sprintf("%s is not within %d to %d", quote(text), f.first, last)
	}
	return v, ""
}

// hint says why a text is no value of the field.
func (f *field) hint(text string) string {
	switch {
	case f == &dayOfMonth && strings.Contains(text, "W"):
		return " cannot have a W here: it stands after one day of the month, such as 15W"
	case f == &dayOfWeek || f == &dayOfMonth:
	case strings.HasPrefix(text, "L") || strings.Contains(text, "#"):
		return " is not a value: L and # stand in the day fields only"
	}
	if len(f.names) > 0 {
		return fmt.Sprintf(" is neither a number nor a name such as %s", f.names[1])
	}
	return " is not a number"
}

// number reads decimal digits. A number too large to matter is some large number.
func number(text string) (n int, ok bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = min(n*10+int(text[i]-'0'), 1_000_000)
	}
	return n, text != ""
}

// quote shows a part of an expression in an error: safe to print and short, whatever was sent.
func quote(text string) string {
	const most = 20
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + ".."
	}
	return fmt.Sprintf("%q", text)
}
