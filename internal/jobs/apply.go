package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/labels"
)

// Apply is a list of definitions, each with a key of its own, and what to do with other jobs.
type Apply struct {
	Definitions []Change
	// Prune selects the jobs to delete, of those that have a key which no definition has. It must
	// not be empty. Nil: none.
	Prune *labels.Selector
	// IsDryRun says only to tell what would happen.
	IsDryRun bool
}

// Outcome is what became of a job that was applied, as AppliedJob in openapi.yaml says.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "CREATED"
	Changed   Outcome = "CHANGED"
	Unchanged Outcome = "UNCHANGED"
	Pruned    Outcome = "PRUNED"
)

// Applied is what became of a job.
type Applied struct {
	Outcome
	// Before is the job as it was. Nil: it was created.
	Before *Definition
	// Job is the job as it is now. Of a job that was deleted, it is as it was.
	Job *Definition

	// first is the first occurrence of a job that was created.
	first time.Time
	// does is what the edit of a changed job does.
	does effect
	// name is that of the definition in the request.
	name string
}

// maxPruned is how many jobs one request may delete: each takes some statements, and the
// transaction holds all that it has locked until its end.
const maxPruned = 1000

// pageOfPruned is how many jobs are read at a time that the selector selects.
const pageOfPruned = 1000

// errDryRun ends the transaction of a dry run.
var errDryRun = errors.New("a dry run")

// Apply makes jobs be as a list of definitions says, in one transaction. It returns what became of
// each, in the order of the definitions, and then the jobs that were pruned, by their keys. Its
// errors are those of Create and Update. An error names a field of the third definition as
// definitions.2.cron.
//
// Two that have keys in common wait for each other, where they lock the jobs that there are, or
// where they store the ones that there are not. The second then begins again, and finds the jobs
// of the first. A list that changes nothing locks nothing: it was true at the instant at which the
// jobs were read.
//
// A dry run does the same, but for what cannot fail, and undoes it.
func (s *Service) Apply(ctx context.Context, by access.Caller, a Apply) ([]Applied, error) {
	wrong := checkKeys("definitions", a.Definitions, true)
	if a.Prune != nil && a.Prune.IsEmpty() {
		wrong = append(wrong, Field{"prune", WrongFormat, "must name a label: without one, it selects all jobs"})
	}
	if len(wrong) > 0 {
		return nil, &Invalid{wrong}
	}
	keys, err := s.keysOf(ctx, by, a)
	if err != nil {
		return nil, err
	}
	if all, err := s.unchanged(ctx, by, a, keys); err != nil || all != nil {
		return all, err
	}
	slices.Sort(keys)
	var all []Applied
	err = s.transact(ctx, func(e edit) (err error) {
		e.by, e.operation = by, "applyJobs"
		locked, err := e.LockKeyedJobs(ctx, db.LockKeyedJobsParams{Namespace: by.Namespace, SortedKeys: keys})
		if err != nil {
			return fmt.Errorf("lock the jobs: %w", err)
		}
		return e.begin(ctx, func(e edit) error {
			if e.calendars, err = calendarsOf(ctx, e.Queries, by.Namespace, a.Definitions...); err != nil {
				return err
			}
			if all, err = s.plan(&e, a, locked); err != nil {
				return err
			}
			return s.storeApplied(ctx, &e, all, a.IsDryRun)
		})
	})
	if errors.Is(err, errDryRun) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	s.announceApplied(all)
	return all, nil
}

// keysOf returns the keys of the jobs that a list is about: those of its definitions, and those of
// the jobs that may have to be pruned.
func (s *Service) keysOf(ctx context.Context, by access.Caller, a Apply) ([]string, error) {
	keys := make([]string, len(a.Definitions))
	for i := range a.Definitions {
		keys[i] = *a.Definitions[i].Key.Value
	}
	if a.Prune == nil {
		return keys, nil
	}
	slices.Sort(keys)
	most := len(keys) + maxPruned // more are refused
	for after := uuid.Nil; len(keys) <= most; {
		ids, err := s.Select(ctx, by, Filter{Labels: *a.Prune}, after, pageOfPruned)
		if err != nil {
			return nil, fmt.Errorf("select the jobs to prune: %w", err)
		}
		selected, err := s.queries.ListKeysOf(ctx, db.ListKeysOfParams{Namespace: by.Namespace, Ids: ids})
		if err != nil {
			return nil, fmt.Errorf("read the keys of the jobs to prune: %w", err)
		}
		keys = append(keys, selected...)
		slices.Sort(keys)
		keys = slices.Compact(keys)
		if len(ids) < pageOfPruned {
			break
		}
		after = ids[len(ids)-1]
	}
	return keys, nil
}

// unchanged returns what became of the jobs of a list if it changes nothing, or nil if it may
// change something. It does not wait for anybody. The estimate of the database's time decides
// nothing: only a job that changes, or a new one, depends on the time.
func (s *Service) unchanged(ctx context.Context, by access.Caller, a Apply, keys []string) ([]Applied, error) {
	if len(keys) > len(a.Definitions) {
		return nil, nil
	}
	jobs, err := s.queries.ListKeyedJobs(ctx, db.ListKeyedJobsParams{Namespace: by.Namespace, Keys: keys})
	if err != nil {
		return nil, fmt.Errorf("read the jobs: %w", err)
	}
	if len(jobs) < len(keys) {
		return nil, nil
	}
	known, err := calendarsOf(ctx, s.queries, by.Namespace, a.Definitions...)
	if err != nil {
		return nil, err
	}
	all, err := s.plan(&edit{by: by, now: s.clock.Now(), calendars: known}, a, jobs)
	if err != nil || count(all, Unchanged) < len(all) {
		return nil, nil //nolint:nilerr // found again, under the locks of the jobs and at a time that is exact
	}
	return all, nil
}

// storeApplied stores what is to become of jobs.
func (s *Service) storeApplied(ctx context.Context, e *edit, all []Applied, isDryRun bool) error {
	if news := count(all, Created); news > 0 {
		if err := e.makeRoom(ctx, news-count(all, Pruned)); err != nil {
			return err
		}
	}
	if err := s.storeEdits(ctx, e, all, isDryRun); err != nil {
		return err
	}
	if isDryRun {
		return errDryRun
	}
	return e.storeNew(ctx, newOf(all))
}

// storeEdits stores the changed jobs and deletes the pruned ones. It does so in the order of their
// ids, in which completions lock the rows of due.
func (s *Service) storeEdits(ctx context.Context, e *edit, all []Applied, isDryRun bool) error {
	edits := []*Applied{}
	for i := range all {
		if all[i].Outcome == Changed || all[i].Outcome == Pruned && !isDryRun {
			edits = append(edits, &all[i])
		}
	}
	slices.SortFunc(edits, func(a, b *Applied) int { return bytes.Compare(a.Job.ID[:], b.Job.ID[:]) })
	var wrong []Field
	for _, did := range edits {
		one, do := e.of(did.Before), s.remove
		if did.Outcome == Changed {
			do = func(ctx context.Context, e *edit) error { return s.storeVersion(ctx, e, did.Job, did.does) }
		}
		faults, err := within(did.name, do(ctx, &one))
		if err != nil {
			return err
		}
		wrong = append(wrong, faults...)
	}
	return InvalidIfAny(wrong)
}

func count(all []Applied, outcome Outcome) (n int) {
	for i := range all {
		if all[i].Outcome == outcome {
			n++
		}
	}
	return n
}

// newOf returns the jobs that are to be created.
func newOf(all []Applied) (jobs []newcomer) {
	for i := range all {
		if did := &all[i]; did.Outcome == Created {
			jobs = append(jobs, newcomer{did.Job, did.first, did.name})
		}
	}
	return jobs
}

// announceApplied announces what may have become due: at the first occurrences of new jobs, and at
// once for the others, as announceEdit does.
func (s *Service) announceApplied(all []Applied) {
	due := announcements{}
	for i := range all {
		switch did := &all[i]; {
		case did.Outcome == Created:
			due.add(did.Job.FirstQueue, did.first)
		case did.Outcome == Pruned:
			due.add(nil, time.Time{})
		case did.does.has(reschedules | endsWaiting | reroutes):
			due.add(did.Job.FirstQueue, time.Time{})
			due.add(nil, time.Time{})
		}
	}
	s.announceAll(due)
}
