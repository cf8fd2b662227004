package schedule

import (
	"encoding/binary"
	"math"
	"time"
)

// The purposes of hashing a job's id. Neither a purpose nor the hash may ever change, because jobs
// would move in time.
const (
	forJitter uint64 = iota + 1
	forSpread
)

// Jitter returns the delay that is added to each occurrence of a job: at least 0, less than
// seconds, in whole microseconds. It is the same for a job at each call, and evenly spread over
// jobs. It is 0 if seconds is not positive.
func Jitter(job [16]byte, seconds int64) time.Duration {
	if seconds <= 0 {
		return 0
	}
	seconds = min(seconds, math.MaxInt64/int64(time.Second))
	span := uint64(seconds) * uint64(time.Second/time.Microsecond)
	return time.Duration(hash(job, forJitter)%span) * time.Microsecond
}

// Seed returns the seed that spreads the H fields of a job's cron expression. It is the same for a
// job at each call.
func Seed(job [16]byte) uint64 {
	return hash(job, forSpread)
}

// hash spreads ids evenly over all its bits, even if the ids differ in a few bits only.
func hash(job [16]byte, purpose uint64) uint64 {
	h := mix(purpose)
	h = mix(h ^ binary.BigEndian.Uint64(job[:8]))
	return mix(h ^ binary.BigEndian.Uint64(job[8:]))
}

// mix is the step of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
