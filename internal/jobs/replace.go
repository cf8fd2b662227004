package jobs

import (
	"reflect"
	"slices"

	"punctual/gen/db"
)

// undefined are the fields of Change that a definition does not decide, or not by itself: the key
// never changes, whether the job is paused is for other requests, and define sets the target.
var undefined = []string{"Key", "Target", "Status", "StatusReason", "PauseUntil"}

// defined are the indexes of the fields of a job that its definition decides.
var defined = func() (indexes [][]int) {
	job := reflect.TypeFor[Definition]()
	for field := range reflect.TypeFor[Change]().Fields() {
		if of, ok := job.FieldByName(field.Name); ok && !slices.Contains(undefined, field.Name) {
			indexes = append(indexes, of.Index)
		}
	}
	return indexes
}()

// replaced returns the locked job as a request for a new one makes it: what the request leaves out
// gets its default. It also returns the fields that are wrong. A job that is completed goes on if
// its new schedule has an occurrence. The error is a Conflict if the state of the namespace or of
// the job's secrets does not allow it.
func (s *Service) replaced(e *edit, given Change) (*Definition, []Field, error) {
	after := new(e.job)
	value := reflect.ValueOf(after).Elem()
	for _, index := range defined {
		value.FieldByIndex(index).SetZero()
	}
	wrong, err := s.define(after, &e.job, e.by, given, e.calendars, e.now)
	if err != nil || len(wrong) > 0 {
		return nil, wrong, err
	}
	if e.job.Status != db.JobStatusCOMPLETED || !effectOf(&e.job, after).has(reschedules) {
		return after, nil, nil
	}
	if _, err := first(after, firstSince(after, &e.job, e.now)); err != nil {
		return after, nil, nil //nolint:nilerr // nothing is due, so it stays completed
	}
	after.Status, after.StatusReason = db.JobStatusACTIVE, nil
	return after, nil, mayBegin(e.by)
}
