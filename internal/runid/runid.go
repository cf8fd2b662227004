// Package runid computes the id of a run from its job and its instant, and reads these back.
//
// A run is one occurrence of one job, so its id is a function of the two. It is a UUIDv7 (RFC 9562,
// section 5.7) whose time is the instant of the occurrence, and whose last eight bytes are those of
// the job's id, which is a UUIDv7 itself and random there. So no id has to be stored or indexed
// with a run, whoever computes it gets the same one, and the parts can be read back from it.
package runid

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// TailLength is how many bytes a run's id has in common with its job's, at the end.
const TailLength = 8

// New returns the id of the run of a job at scheduledFor, which is cut to whole microseconds, like
// in PostgreSQL.
func New(job uuid.UUID, scheduledFor time.Time) uuid.UUID {
	id := job
	micros := scheduledFor.UnixMicro()
	binary.BigEndian.PutUint64(id[:8], uint64(micros/1000)<<16|uint64(micros%1000))
	id[6] |= 7 << 4
	return id
}

// Parse returns the instant and the last eight bytes of the job's id, from which New computed an
// id. It reports false for an id that cannot be a run's.
func Parse(id uuid.UUID) (scheduledFor time.Time, jobTail []byte, ok bool) {
	head := binary.BigEndian.Uint64(id[:8])
	millis, micros := int64(head>>16), int64(head&0x0fff)
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 || micros >= 1000 {
		return time.Time{}, nil, false
	}
	return time.UnixMicro(millis*1000 + micros).UTC(), id[16-TailLength:], true
}
