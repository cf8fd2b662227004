package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"punctual/internal/access"
	"punctual/internal/history"
)

// selectByID is selectRuns for runs that are given by their ids. An id without a run is passed
// over.
func (s *Service) selectByID(ctx context.Context, by access.Caller, b *RunBulk) (runs []Run, next *history.Place, err error) {
	ids := slices.Clone(b.IDs)
	slices.SortFunc(ids, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range slices.Compact(ids) {
		run, err := s.GetRun(ctx, by, id)
		if errors.Is(err, ErrRunNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if b.Filter.matches(run) && newestFirst(run, Run{ScheduledFor: b.After.At, JobID: b.After.Job}) > 0 {
			runs = append(runs, run)
		}
	}
	if runs, err = s.labeled(ctx, by, b.Filter, runs); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(runs, newestFirst)
	if len(runs) > int(b.Max) {
		runs = runs[:b.Max]
		next = &history.Place{At: runs[b.Max-1].ScheduledFor, Job: runs[b.Max-1].JobID}
	}
	return runs, next, nil
}

// newestFirst compares runs in the order of a list.
func newestFirst(a, b Run) int {
	return cmp.Or(b.ScheduledFor.Compare(a.ScheduledFor), bytes.Compare(b.JobID[:], a.JobID[:]))
}

// matches reports whether a run matches the filter, without the labels.
func (f *RunFilter) matches(run Run) bool {
	return (f.JobID == nil || *f.JobID == run.JobID) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, run.Status)) &&
		(len(f.Reasons) == 0 || run.Reason != nil && slices.Contains(f.Reasons, string(*run.Reason))) &&
		(len(f.Triggers) == 0 || slices.Contains(f.Triggers, string(run.Trigger))) &&
		(f.From == nil || !run.ScheduledFor.Before(*f.From)) && (f.To == nil || run.ScheduledFor.Before(*f.To))
}

// labeled returns those runs whose jobs match the labels of the filter.
func (s *Service) labeled(ctx context.Context, by access.Caller, f RunFilter, runs []Run) ([]Run, error) {
	if f.Labels.IsEmpty() || len(runs) == 0 {
		return runs, nil
	}
	of := Filter{Labels: f.Labels}
	for i := range runs {
		of.IDs = append(of.IDs, runs[i].JobID)
	}
	selected, err := s.Select(ctx, by, of, uuid.UUID{}, int32(len(runs)))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(runs, func(run Run) bool { return !slices.Contains(selected, run.JobID) }), nil
}
