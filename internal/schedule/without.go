package schedule

import "time"

// Without is the instants of a grid that are not within a span, both ends included.
type Without struct {
	Grid        Grid
	From, Until time.Time
}

// Next returns the first instant after t, or false if there is none.
func (w Without) Next(t time.Time) (time.Time, bool) {
	next, ok := w.Grid.Next(t)
	if ok && !next.Before(w.From) && !next.After(w.Until) {
		return w.Grid.Next(w.Until)
	}
	return next, ok
}
