package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/clock"
)

// newcomer is a job that is about to be stored with others.
type newcomer struct {
	*Definition
	// first is its first occurrence; zero if it has no schedule.
	first time.Time
	// name is that of the job in the request.
	name string
}

func (n *newcomer) view() View {
	return View{Job: *n.Definition, NextRunAt: firstOrNil(n.first), scheduledFor: firstOrNil(n.first)}
}

// CreateAll is Create for many jobs: it stores all of them, or none. It returns them in their
// order. An error names a field of the third job as jobs.2.cron.
func (s *Service) CreateAll(ctx context.Context, by access.Caller, given []Change) ([]View, error) {
	if err := mayBegin(by); err != nil {
		return nil, err
	}
	if wrong := checkKeys("jobs", given, false); len(wrong) > 0 {
		return nil, &Invalid{wrong}
	}
	var all []newcomer
	err := s.transact(ctx, func(e edit) error {
		e.by, e.operation = by, "createJobs"
		return e.begin(ctx, func(e edit) (err error) {
			if err := e.makeRoom(ctx, len(given)); err != nil { // the namespace is locked first
				return err
			}
			if e.calendars, err = calendarsOf(ctx, e.Queries, by.Namespace, given...); err != nil {
				return err
			}
			if all, err = s.newcomers(&e, given); err != nil {
				return err
			}
			if err := e.checkTaken(ctx, given); err != nil {
				return err
			}
			return e.storeNew(ctx, all)
		})
	})
	if err != nil {
		return nil, err
	}
	views, due := make([]View, len(all)), announcements{}
	for i := range all {
		views[i] = all[i].view()
		due.add(all[i].FirstQueue, all[i].first)
	}
	s.announceAll(due)
	return views, nil
}

// newcomers returns the jobs that requests for new ones stand for, or an Invalid.
func (s *Service) newcomers(e *edit, given []Change) ([]newcomer, error) {
	all := make([]newcomer, len(given))
	var wrong []Field
	for i := range given {
		job, err := s.newcomer(e, given[i])
		job.name = fmt.Sprintf("jobs.%d", i)
		faults, err := within(job.name, err)
		if err != nil {
			return nil, err
		}
		all[i], wrong = job, append(wrong, faults...)
	}
	return all, InvalidIfAny(wrong)
}

// newcomer returns the job that a request for a new one stands for, or an Invalid.
func (s *Service) newcomer(e *edit, given Change) (newcomer, error) {
	job, err := s.newJob(e.by, given, e.calendars, e.now)
	if err != nil {
		return newcomer{}, err
	}
	next, err := first(job, firstSince(job, nil, e.now))
	if err != nil {
		return newcomer{}, err
	}
	job.CreatedAt, job.UpdatedAt = e.now, e.now
	return newcomer{Definition: job, first: next}, nil
}

// within returns the fields of an Invalid about one item of a list, by their names in the request,
// and any other error as it is.
func within(item string, err error) ([]Field, error) {
	fault, ok := errors.AsType[*Invalid](err)
	if !ok {
		return nil, err
	}
	fields := slices.Clone(fault.Fields)
	for i := range fields {
		if fields[i].Name == "" {
			fields[i].Name = item
		} else {
			fields[i].Name = item + "." + fields[i].Name
		}
	}
	return fields, nil
}

// checkKeys returns the fields of keys that are given twice in a list, or that are missing.
func checkKeys(list string, given []Change, areRequired bool) (wrong []Field) {
	seen := make(map[string]bool, len(given))
	for i := range given {
		name, key := fmt.Sprintf("%s.%d.key", list, i), given[i].Key.Value
		switch {
		case key == nil && areRequired:
			wrong = append(wrong, Field{name, Required, "must be given, because it tells which job is meant"})
		case key == nil:
		case seen[*key]:
			wrong = append(wrong, Field{name, NotUnique, "is given to another item of the list"})
		default:
			seen[*key] = true
		}
	}
	return wrong
}

// checkTaken returns a KeyExists if jobs have keys of a list of new ones.
func (e *edit) checkTaken(ctx context.Context, given []Change) error {
	keys := []string{}
	for i := range given {
		if key := given[i].Key.Value; key != nil {
			keys = append(keys, *key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	taken, err := e.ListTakenKeys(ctx, db.ListTakenKeysParams{Namespace: e.by.Namespace, Keys: keys})
	if err != nil {
		return fmt.Errorf("look for jobs with the same keys: %w", err)
	}
	exists := &KeyExists{}
	for i := range given {
		if key := given[i].Key.Value; key != nil && slices.Contains(taken, *key) {
			if exists.Key == "" {
				exists.Key = *key
			}
			exists.Fields = append(exists.Fields, takenKey(fmt.Sprintf("jobs.%d.key", i)))
		}
	}
	if len(exists.Fields) > 0 {
		return exists
	}
	return nil
}

// storeNew stores new jobs with their first occurrences, and writes them to the audit. It sorts
// them by their keys, for which two transactions wait: in one order they do not deadlock.
func (e *edit) storeNew(ctx context.Context, all []newcomer) error {
	if len(all) == 0 {
		return nil
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b newcomer) int { return strings.Compare(orEmpty(a.Key), orEmpty(b.Key)) })
	if err := e.holdConnections(ctx, sorted); err != nil {
		return err
	}
	jobs, due, entries := make([]db.CopyJobsParams, len(sorted)), make([]db.CopyDueParams, 0, len(sorted)), make([]audit.Entry, len(sorted))
	for i, n := range sorted {
		jobs[i] = copyParams(n.Definition)
		e.after.startsOn = e.after.startsOn || n.StartsOn != nil
		if !n.first.IsZero() {
			due = append(due, firstParams(n))
		}
		entries[i] = audit.Entry{Operation: e.operation, Type: audit.Job, ID: n.ID.String(), Result: isFirstVersion}
	}
	if _, err := e.CopyJobs(ctx, jobs); isKeyTaken(err) {
		return &KeyExists{refusal: err}
	} else if err != nil {
		return fmt.Errorf("store the jobs: %w", err)
	}
	if _, err := e.CopyDue(ctx, due); err != nil {
		return fmt.Errorf("store the first occurrences: %w", err)
	}
	if err := e.expectNew(ctx, sorted); err != nil {
		return err
	}
	return audit.RecordAll(ctx, e.Queries, e.by, entries)
}

// isFirstVersion is what came of creating a job.
var isFirstVersion = json.RawMessage(`{"version":1}`)

// firstParams returns what stores the first occurrence of a new job. One that has just passed is
// ready from the job's creation on.
func firstParams(n newcomer) db.CopyDueParams {
	return db.CopyDueParams{
		JobID: n.ID, ScheduledFor: n.first, ReadyAt: clock.Later(n.first, n.CreatedAt), CarriesSchedule: true,
		ConcurrencyGroup: n.QualifiedGroup, Queue: n.FirstQueue, AwaitsWorker: n.FirstQueue != nil,
	}
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// announcements are the instants at which something is due first, by queue.
type announcements map[string]time.Time

func (a announcements) add(queue *string, readyAt time.Time) {
	name := orEmpty(queue)
	if known, ok := a[name]; !ok || readyAt.Before(known) {
		a[name] = readyAt
	}
}

func (s *Service) announceAll(due announcements) {
	for queue, readyAt := range due {
		s.Announce(queue, readyAt)
	}
}
