package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// when shows an instant twice: in UTC, so that it can be copied, and how far away it is.
func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", t.UTC().Format(time.RFC3339), distance(time.Until(*t)))
}

func distance(d time.Duration) string {
	switch text := span(d.Abs()); {
	case d.Abs() < time.Second:
		return "now"
	case d < 0:
		return text + " ago"
	default:
		return "in " + text
	}
}

const day = 24 * time.Hour

// span shows a duration by its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d/day))
	}
}

// interval shows a duration of whole seconds without units that are zero: 90m is 1h30m.
func interval(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if short, isZero := strings.CutSuffix(text, zero); isZero {
			text = short + zero[:1]
		}
	}
	return text
}

// milliseconds shows a duration of the API.
func milliseconds(n *int64) string {
	if n == nil {
		return "-"
	}
	return span(time.Duration(*n) * time.Millisecond)
}

// ahead is an instant that a user names, or a time from now such as 2h or 3d.
type ahead struct{ time.Time }

// UnmarshalText reads it.
func (a *ahead) UnmarshalText(text []byte) (err error) {
	a.Time, err = parseInstant(string(text), 1)
	return err
}

// back is an instant that a user names, or how long ago it was, such as 2h or 3d.
type back struct{ time.Time }

// UnmarshalText reads it.
func (b *back) UnmarshalText(text []byte) (err error) {
	b.Time, err = parseInstant(string(text), -1)
	return err
}

func parseInstant(text string, direction time.Duration) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Now().Add(direction * time.Duration(n) * day), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%q is neither an instant such as 2040-01-31T06:00:00Z nor a duration such as 90m, 2h or 3d", text)
	}
	return time.Now().Add(direction * d), nil
}
