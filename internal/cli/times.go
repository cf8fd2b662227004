package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"punctual/internal/durations"
)

// when shows an instant twice: in UTC, so that it can be copied, and how far away it is.
func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", t.UTC().Format(time.RFC3339), durations.FromNow(time.Until(*t)))
}

// milliseconds shows a duration of the API.
func milliseconds(n *int64) string {
	if n == nil {
		return "-"
	}
	return durations.Short(time.Duration(*n) * time.Millisecond)
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
			return time.Now().Add(direction * time.Duration(n) * durations.Day), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%q is neither an instant such as 2040-01-31T06:00:00Z nor a duration such as 90m, 2h or 3d", text)
	}
	return time.Now().Add(direction * d), nil
}
