package jobs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// plan returns what is to become of the jobs that a list is about.
func (s *Service) plan(e *edit, a Apply, jobs []Definition) ([]Applied, error) {
	byKey := make(map[string]*Definition, len(jobs))
	for i := range jobs {
		byKey[*jobs[i].Key] = &jobs[i]
	}
	all := make([]Applied, len(a.Definitions), len(a.Definitions)+len(jobs))
	var wrong []Field
	for i, given := range a.Definitions {
		key, name := *given.Key.Value, fmt.Sprintf("definitions.%d", i)
		did, err := s.planOne(e, byKey[key], given)
		faults, err := within(name, err)
		if err != nil {
			return nil, err
		}
		delete(byKey, key)
		did.name, wrong = name, append(wrong, faults...)
		all[i] = did
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) { // which no definition has
		if job := byKey[key]; a.Prune.Matches(job.Labels) { // also now that it is locked
			all = append(all, Applied{Outcome: Pruned, Before: job, Job: job})
		}
	}
	if len(all)-len(a.Definitions) > maxPruned {
		wrong = append(wrong, Field{"prune", TooLarge, fmt.Sprintf("would delete more than %d jobs; delete some of them first", maxPruned)})
	}
	return all, InvalidIfAny(wrong)
}

// planOne returns what is to become of the job of a definition. before is nil if there is none.
func (s *Service) planOne(e *edit, before *Definition, given Change) (Applied, error) {
	if before == nil {
		job, err := s.newcomer(e, given)
		return Applied{Outcome: Created, Job: job.Definition, first: job.first}, err
	}
	one := e.of(before)
	after, wrong, err := s.replaced(&one, given)
	if err == nil {
		err = InvalidIfAny(wrong)
	}
	if conflict, ok := errors.AsType[*Conflict](err); ok {
		err = &Conflict{conflict.Code, fmt.Sprintf("The job %s: %s", *before.Key, conflict.Detail)}
	}
	if err != nil {
		return Applied{}, err
	}
	did := Applied{Outcome: Unchanged, Before: before, Job: after, does: effectOf(before, after)}
	if did.does != 0 {
		did.Outcome = Changed
	}
	return did, nil
}

// of returns the edit of another job that is locked in the same transaction.
func (e *edit) of(job *Definition) edit {
	one := *e
	one.job = *job
	return one
}
