// Package durations writes durations for people. It is pure.
package durations

import (
	"fmt"
	"strings"
	"time"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// FromNow says how far away an instant is: "in 5m", "3h ago" or "now".
func FromNow(d time.Duration) string {
	switch text := Short(d.Abs()); {
	case d.Abs() < time.Second:
		return "now"
	case d < 0:
		return text + " ago"
	default:
		return "in " + text
	}
}

// Short shows a duration by its largest unit.
func Short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 2*Day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d/Day))
	}
}

// Interval shows a duration of whole seconds without units that are zero: 90m is 1h30m.
func Interval(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if short, isZero := strings.CutSuffix(text, zero); isZero {
			text = short + zero[:1]
		}
	}
	return text
}
