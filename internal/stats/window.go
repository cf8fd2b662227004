package stats

import (
	"time"

	"punctual/internal/clock"
)

// Window is the time of a series.
type Window struct {
	// From is the first instant, and To the one after the last. Both are those of a step.
	From, To time.Time
	Step     Step
}

// Asked is what a caller says of a window. Nil and empty: the default.
type Asked struct {
	From, To *time.Time
	Step     Step
}

// BadWindow says what is wrong with a window that was asked for.
type BadWindow struct {
	// Field is from, or to.
	Field string
	Why   Why
}

// Why is why a window is refused.
type Why string

// Why a window may be refused.
const (
	IsEmpty    Why = "must be before to"
	IsTooEarly Why = "must be after 1970 began"
	IsTooLong  Why = "must be at most 1 500 steps before to"
	IsTooOld   Why = "must not be more than two days ago with the step MINUTE"
)

func (b BadWindow) Error() string { return b.Field + " " + string(b.Why) }

const (
	// usual is how long the window is of which only the end is given.
	usual = 24 * time.Hour
	// usualOfJob is as much for a job.
	usualOfJob = 7 * 24 * time.Hour
	// fewHours is up to which length a window of a job is shown by the hour by itself.
	fewHours = 48 * time.Hour
)

// window returns the window of a namespace that was asked for at now.
func (a Asked) window(now time.Time) (Window, error) {
	w, err := a.bounds(now, usual)
	if err != nil {
		return w, err
	}
	hasMinutes := !w.From.Before(now.Add(-MinutesKept))
	switch {
	case a.Step == Minute && !hasMinutes:
		return w, BadWindow{"from", IsTooOld}
	case a.Step != "":
	case hasMinutes && w.To.Sub(w.From) <= (MaxSteps-1)*time.Minute:
		w.Step = Minute
	default:
		w.Step = Hour
	}
	return w.rounded()
}

// windowOfJob returns the window of a job that was asked for at now.
func (a Asked) windowOfJob(now time.Time) (Window, error) {
	w, err := a.bounds(now, usualOfJob)
	if err != nil {
		return w, err
	}
	if a.Step == "" {
		if w.Step = Day; w.To.Sub(w.From) <= fewHours {
			w.Step = Hour
		}
	}
	return w.rounded()
}

func (a Asked) bounds(now time.Time, usual time.Duration) (Window, error) {
	w := Window{To: now, Step: a.Step}
	if a.To != nil {
		w.To = clock.Earlier(*a.To, clock.EndOfTime)
	}
	w.From = w.To.Add(-usual)
	if a.From != nil {
		w.From = *a.From
	}
	w.From = clock.Later(w.From, clock.StartOfTime)
	switch {
	case w.From.Before(w.To):
	case a.From == nil:
		return w, BadWindow{"to", IsTooEarly}
	default:
		return w, BadWindow{"from", IsEmpty}
	}
	return w, nil
}

// rounded widens a window to whole steps.
func (w Window) rounded() (Window, error) {
	step := w.Step.length()
	w.From, w.To = w.From.UTC().Truncate(step), w.To.UTC().Add(step-1).Truncate(step)
	if w.To.Sub(w.From) > MaxSteps*step {
		return w, BadWindow{"from", IsTooLong}
	}
	return w, nil
}

// steps returns how many items the window has.
func (w Window) steps() int { return int(w.To.Sub(w.From) / w.Step.length()) }
