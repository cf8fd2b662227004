// Package runid makes and reads the ids of runs.
//
// A run is one occurrence of one job, so its id is a function of the two: a UUIDv7 (RFC 9562, section 5.7) whose
// time is the occurrence's instant and whose last eight bytes are those of the job's id, itself a UUIDv7 and random
// there. So no id has to be stored or indexed with a run, whoever computes it gets the same, and the parts
// (scheduled instant, job) can be read back from it.
package runid

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// TailLength is the length, in bytes, of what a run's id has in common with its job's.
const TailLength = 8

// New returns the id of the run of job at scheduledFor, which counts in whole microseconds, as in PostgreSQL.
func New(job uuid.UUID, scheduledFor time.Time) uuid.UUID {
	id := job
	micros := scheduledFor.UnixMicro()
	binary.BigEndian.PutUint64(id[:8], uint64(micros/1000)<<16|uint64(micros%1000))
	id[6] |= 7 << 4
	return id
}

// Parse reads back what New put in: the instant and the last eight bytes of the job's id. It reports false for an id
// that cannot be a run's.
func Parse(id uuid.UUID) (scheduledFor time.Time, jobTail []byte, ok bool) {
	head := binary.BigEndian.Uint64(id[:8])
	millis, micros := int64(head>>16), int64(head&0x0fff)
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 || micros >= 1000 {
		return time.Time{}, nil, false
	}
	return time.UnixMicro(millis*1000 + micros).UTC(), id[16-TailLength:], true
}
