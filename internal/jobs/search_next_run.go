package jobs

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
)

// jobsPerRow is how many jobs a walk passes by in the time that it takes to pass by a row of due
// and to look its job up.
const jobsPerRow = 2

// walkByNextRun is walk for a list by nextRunAt: it walks through the rows of due that carry a
// schedule, and then through the jobs that have no such row: those that are not active, and those
// without a schedule.
func (s *search) walkByNextRun(ctx context.Context, p *filterParams, l *List, furthest int32) (places []Place, isEnough bool, err error) {
	wanted := l.Skip + l.Max
	if f, _ := l.implied(); len(f.Statuses) == 0 || slices.Contains(f.Statuses, db.JobStatusACTIVE) {
		if l.After == nil || !l.After.IsIdle {
			if places, isEnough, err = s.soonest(ctx, p, l, wanted, furthest/jobsPerRow); err != nil || !isEnough {
				return nil, false, err
			}
		}
	}
	if len(places) < int(wanted) {
		idle, err := s.idle(ctx, p, l, wanted-int32(len(places)))
		if err != nil {
			return nil, false, err
		}
		places = append(places, idle...)
	}
	return places[min(int(l.Skip), len(places)):], true, nil
}

// soonest returns the places of the jobs that are due soonest, past so many rows of each kind at
// most. It reports whether there is no other among the first so many.
func (s *search) soonest(ctx context.Context, p *filterParams, l *List, wanted, furthest int32) (places []Place, isEnough bool, err error) {
	before := clock.EndOfTime
	if furthest < math.MaxInt32/jobsPerRow {
		if before, err = s.readyPast(ctx, l, furthest, before); err != nil {
			return nil, false, err
		}
	}
	places, err = s.soonestBefore(ctx, p, l, wanted, before)
	return places, len(places) == int(wanted) || before.Equal(clock.EndOfTime), err
}

// readyPast returns before which instant so many rows of each kind are ready behind the place where
// a list begins. It is before if there are not so many until then.
func (s *search) readyPast(ctx context.Context, l *List, rows int32, before time.Time) (time.Time, error) {
	return s.q.FindReadyAt(ctx, db.FindReadyAtParams{
		BeforeReadyAt: before, AfterReadyAt: l.placeBefore().At, Rows: rows,
		FirstQueue: access.Qualified(s.namespace, ""), LastQueue: access.QueuesEnd(s.namespace),
	})
}

// soonestBefore returns the places of the jobs that are due soonest and before an instant, at most
// so many.
func (s *search) soonestBefore(ctx context.Context, p *filterParams, l *List, wanted int32, before time.Time) ([]Place, error) {
	after := l.placeBefore()
	rows, err := s.q.FindSoonest(ctx, db.FindSoonestParams{
		Namespace: p.Namespace, Ids: p.Ids, Keys: p.Keys, NamePattern: p.NamePattern, KeyPrefix: p.KeyPrefix,
		LabelNames: p.LabelNames, LabelPredicate: p.LabelPredicate, NeedsLabels: p.NeedsLabels, Statuses: p.Statuses,
		TargetType: p.TargetType, Queue: p.Queue, ConcurrencyGroup: p.ConcurrencyGroup, PauseID: p.PauseID,
		LastRunStatuses: p.LastRunStatuses, Healths: p.Healths,
		FirstQueue: access.Qualified(s.namespace, ""), LastQueue: access.QueuesEnd(s.namespace),
		AfterReadyAt: after.At, AfterID: after.ID, BeforeReadyAt: before, MaxRows: wanted,
	})
	places := make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{At: row.ReadyAt, ID: row.JobID}
	}
	return places, err
}

// idle returns the places of jobs that are not due by themselves, newest first: those that are not
// active, and those without a schedule.
func (s *search) idle(ctx context.Context, p *filterParams, l *List, wanted int32) ([]Place, error) {
	inactive := []db.JobStatus{db.JobStatusPAUSED, db.JobStatusCOMPLETED}
	active := []db.JobStatus{db.JobStatusACTIVE}
	if f, _ := l.implied(); len(f.Statuses) > 0 {
		isOther := func(status db.JobStatus) bool { return !slices.Contains(f.Statuses, status) }
		inactive, active = slices.DeleteFunc(inactive, isOther), slices.DeleteFunc(active, isOther)
	}
	places, err := s.idleOf(ctx, p, l, inactive, false, wanted)
	if err != nil {
		return nil, err
	}
	unscheduled, err := s.idleOf(ctx, p, l, active, true, wanted)
	if err != nil {
		return nil, err
	}
	places = append(places, unscheduled...)
	slices.SortFunc(places, func(a, b Place) int { return cmp.Or(b.At.Compare(a.At), bytes.Compare(b.ID[:], a.ID[:])) })
	return places[:min(len(places), int(wanted))], nil
}

// idleOf is idle for jobs of some statuses, or for those of them without a schedule.
func (s *search) idleOf(
	ctx context.Context, p *filterParams, l *List, statuses []db.JobStatus, areUnscheduled bool, wanted int32,
) ([]Place, error) {
	if len(statuses) == 0 {
		return nil, nil
	}
	ofIdle, args := List{Filter: l.Filter, Sort: SortByCreatedAt, Max: wanted}, *p
	ofIdle.Statuses, args.Statuses = statuses, arrayOf(statuses)
	if areUnscheduled {
		args.IsUnscheduled = &areUnscheduled
	}
	if l.After != nil && l.After.IsIdle {
		ofIdle.After = l.After
	}
	most := s.bounds.maxSorted + 1
	if isOfState(p) {
		most = 1 // it is not counted here, which has to look at the due rows of each
	}
	places, _, err := s.findIn(ctx, &args, &ofIdle, most)
	for i := range places {
		places[i].IsIdle = true
	}
	return places, err
}
