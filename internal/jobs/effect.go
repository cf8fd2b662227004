package jobs

import (
	"reflect"
	"time"
)

// effect is what an edit of a job does besides being stored. Effects add up.
type effect uint8

const (
	// stores: the next run that is claimed has the new value.
	stores effect = 1 << iota
	// revises: what follows a run in flight is computed from the job as edited.
	revises
	// endsWaiting: a run that waits for another attempt may have used up its attempts.
	endsWaiting
	// reroutes: runs that wait for an instance or a worker wait elsewhere.
	reroutes
	// reschedules: the job is due at other instants.
	reschedules
)

// effects says, for each field that an edit may change, what its change does. QualifiedQueue
// follows from Target, and AnchorAt from the schedule. PausedSince, RunCount and what says how
// the last run ended are not here, nor is what says which version it is: no edit sets them.
var effects = map[string]effect{
	"Key":                        stores,
	"Name":                       stores,
	"Description":                stores,
	"Labels":                     stores,
	"Payload":                    stores,
	"Target":                     stores,
	"SealedSecrets":              stores,
	"SecretsKeyID":               stores,
	"SecretNames":                stores,
	"SecretsDigest":              stores,
	"QualifiedQueue":             reroutes,
	"FirstQueue":                 reroutes,
	"ConcurrencyGroup":           reroutes,
	"MaxConcurrency":             stores,
	"IntervalSeconds":            reschedules,
	"AnchorAt":                   reschedules,
	"Cron":                       reschedules,
	"Rrule":                      reschedules,
	"TimeZone":                   reschedules,
	"RunAt":                      reschedules,
	"OnDemand":                   stores,
	"StartsOn":                   stores,
	"SkipOn":                     reschedules,
	"OnlyOn":                     reschedules,
	"OnSkipped":                  reschedules,
	"CalendarDays":               reschedules,
	"RanAheadFrom":               reschedules,
	"RanAheadUntil":              reschedules,
	"StartAt":                    reschedules,
	"EndAt":                      reschedules,
	"MaxRuns":                    reschedules,
	"JitterSeconds":              reschedules,
	"DeleteAfterCompletion":      stores,
	"MisfirePolicy":              stores,
	"CatchupWindowSeconds":       stores,
	"OverlapPolicy":              revises,
	"MaxAttempts":                endsWaiting,
	"MinBackoffSeconds":          stores,
	"MaxBackoffSeconds":          stores,
	"AttemptDeadlineSeconds":     stores,
	"PauseAfterFailures":         revises,
	"RunHistory":                 stores,
	"LateAfterSeconds":           stores,
	"AlertAfterFailures":         stores,
	"ExpectSuccessWithinSeconds": stores,
	"Metrics":                    stores,
	"PublicBadge":                stores,
	"FailingSince":               stores,
	"Status":                     reschedules,
	"StatusReason":               stores,
	"PauseUntil":                 stores,
	"PauseID":                    stores,
	"PausedByService":            stores,
	"Suspended":                  stores,
}

// effectOf returns what an edit does: the effects of all fields in which two definitions of a job
// differ, or zero if they are the same.
func effectOf(before, after *Definition) (e effect) {
	a, b := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	for field, effect := range effects {
		if !isSame(a.FieldByName(field).Interface(), b.FieldByName(field).Interface()) {
			e |= effect
		}
	}
	return e
}

// isSame compares instants as instants, whatever their zones, and all else by value.
func isSame(a, b any) bool {
	if t, ok := a.(*time.Time); ok {
		return equal(t, b.(*time.Time)) //nolint:forcetypeassert // both are the same field
	}
	return reflect.DeepEqual(a, b)
}

func (e effect) has(other effect) bool { return e&other != 0 }
