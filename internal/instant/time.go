// Package instant writes and reads instants in JSON.
package instant

import "time"

// layout is RFC 3339 in UTC with exactly six digits of a second, which is what PostgreSQL keeps.
// Because all texts have the same length, they sort as the instants do. The encoding of time.Time
// drops trailing zeros.
const layout = `"2006-01-02T15:04:05.000000Z"`

// Time is a time.Time whose JSON is RFC 3339 in UTC with microseconds. It reads any RFC 3339.
type Time struct{ time.Time }

// MarshalJSON encodes t, truncated to microseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, layout), nil
}

// Bind decodes an instant in the query of a request.
func (t *Time) Bind(text string) error { return t.UnmarshalText([]byte(text)) }
