// Package instant is how the API writes instants.
package instant

import "time"

// layout is RFC 3339 in UTC with exactly six digits of a second: what PostgreSQL keeps, and, being of one width,
// text that sorts as the instants do. time.Time's own encoding drops trailing zeros.
const layout = `"2006-01-02T15:04:05.000000Z"`

// Time is a time.Time whose JSON is RFC 3339 in UTC with microseconds. It reads any RFC 3339.
type Time struct{ time.Time }

// MarshalJSON encodes t, with what is finer than a microsecond cut off.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, layout), nil
}
