package clock

import "time"

// StartOfTime is before all instants at which anything can be scheduled.
var StartOfTime = time.Unix(0, 0).UTC()

// EndOfTime stands for an instant after all others: a list that is newest first begins there.
var EndOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// Later returns the later of two instants.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Earlier returns the earlier of two instants.
func Earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// OrZero returns the instant that t points to. For nil it returns the zero instant, which is
// earlier than any that is stored.
func OrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
