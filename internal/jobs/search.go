package jobs

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/database"
)

// search finds the jobs of lists. It has two ways. It takes all jobs that match, by the best index,
// and sorts them: that takes as long as there are many. Or it walks through the list in its order
// until it has met enough: that takes as long as they are rare, and for ever if those that match
// stand at the end, because the filter and the order have something in common. So what is rare is
// sorted, and what is frequent is walked to, but not far.
type search struct {
	q         *db.Queries
	namespace string
	bounds    bounds
}

// bounds say what is rare and what is frequent, in jobs.
type bounds struct {
	// maxSorted is how many jobs are sorted before a walk is tried.
	maxSorted int32
	// walkPerJob is how many jobs a walk passes by for each that it has to find, and maxWalk how
	// many it passes by at most.
	walkPerJob, maxWalk int64
	// few and many are how many jobs in a state are looked at one by one: before a walk is tried,
	// and after it was in vain.
	few, many int32
}

// maxCounted is up to how many jobs a list counts.
const maxCounted = 10_000

func (s *Service) search(by access.Caller) *search {
	return &search{
		q: database.PlanEach(s.Pool), namespace: by.Namespace,
		bounds: bounds{maxSorted: maxCounted, walkPerJob: 400, maxWalk: 20_000, few: 1000, many: 20_000},
	}
}

// find returns the places of the jobs of a list, at most l.Max, and how many jobs match: exactly if
// these are fewer than l.CountUpTo. A list by id is not counted.
func (s *search) find(ctx context.Context, l *List) (places []Place, matching int64, err error) {
	f, isPossible := l.implied()
	if !isPossible {
		return nil, 0, nil
	}
	if f.isOfState() {
		places, matching, err = s.findInState(ctx, l, &f)
	} else {
		p := f.params(s.namespace)
		places, matching, err = s.findIn(ctx, &p, l, s.bounds.maxSorted+1)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("find jobs: %w", err)
	}
	return places, matching, nil
}

// findInState is find for a filter of the state of jobs.
func (s *search) findInState(ctx context.Context, l *List, f *Filter) (places []Place, matching int64, err error) {
	p := f.params(s.namespace)
	others := l.Filter
	others.LastRunStatuses, others.Health = nil, nil
	if !others.isAll() {
		ids, areAll, err := s.few(ctx, &others)
		if err != nil {
			return nil, 0, err
		}
		if areAll {
			p.Ids = ids
			return s.findIn(ctx, &p, l, math.MaxInt32)
		}
	}
	counted := max(l.CountUpTo, 1)
	for _, most := range [...]int32{s.bounds.few, s.bounds.many} {
		c, err := s.candidatesOf(ctx, f, most)
		if err != nil {
			return nil, 0, err
		}
		if !c.areNamed || len(f.IDs) > 0 {
			break
		}
		some := p
		some.Ids = c.ids
		if f.isOfLastRuns() {
			some.LastRunStatuses, some.Healths = nil, nil // just these jobs have it
		}
		if c.areAll {
			return s.findIn(ctx, &some, l, math.MaxInt32)
		}
		if l.Sort == sortByID {
			continue
		}
		_, matching, err = s.match(ctx, &some, &List{Sort: sortByID, Max: 1}, counted)
		if err != nil {
			return nil, 0, err
		}
		if matching < int64(counted) {
			continue
		}
		places, isEnough, err := s.walk(ctx, &p, l, s.furthest(l))
		if err != nil || isEnough {
			return places, matching, err
		}
	}
	return s.findIn(ctx, &p, l, counted)
}

// few returns the jobs that match a filter if these are few.
func (s *search) few(ctx context.Context, f *Filter) (ids []uuid.UUID, areAll bool, err error) {
	p := f.params(s.namespace)
	places, matching, err := s.match(ctx, &p, &List{Sort: sortByID, Max: s.bounds.few}, s.bounds.few+1)
	return idsAt(places), matching <= int64(s.bounds.few), err
}

// findIn returns the places of a list among the jobs that match, and how many match, up to most. If
// there are fewer, it sorts them.
func (s *search) findIn(ctx context.Context, p *filterParams, l *List, most int32) (places []Place, matching int64, err error) {
	if l.Sort == sortByID && most < math.MaxInt32 {
		places, _, err = s.walk(ctx, p, l, math.MaxInt32)
		return places, 0, err
	}
	if l.isAll() { // every job that a walk meets matches
		if _, matching, err = s.match(ctx, p, &List{Sort: sortByID, Max: 1}, most); err == nil {
			places, _, err = s.walk(ctx, p, l, math.MaxInt32)
		}
		return places, matching, err
	}
	places, matching, err = s.match(ctx, p, l, most)
	if err != nil || matching < int64(most) {
		return places, matching, err
	}
	furthest := s.furthest(l)
	if isOfState(p) {
		furthest = math.MaxInt32 // sorting has to look at the due rows of all
	}
	places, isEnough, err := s.walk(ctx, p, l, furthest)
	if err != nil || isEnough {
		return places, matching, err
	}
	places, _, err = s.match(ctx, p, l, math.MaxInt32)
	return places, matching, err
}

// match finds at most so many jobs that match, sorts them, and returns the places of a list, and
// how many it found. If there may be more, the places mean nothing.
func (s *search) match(ctx context.Context, p *filterParams, l *List, most int32) (places []Place, matching int64, err error) {
	args, after := *p, l.placeBefore()
	args.Sort, args.MaxMatching = string(l.sort()), most
	args.AfterAt, args.AfterName, args.AfterID, args.AfterIsIdle, args.SkipRows, args.MaxRows = after.At, after.Name, after.ID, after.IsIdle, l.Skip, l.Max
	rows, err := s.q.MatchJobs(ctx, args)
	if err != nil {
		return nil, 0, err
	}
	if len(rows) == 0 && (l.After != nil || l.Skip > 0) { // the page is behind the last job, so no row says how many match
		_, matching, err = s.match(ctx, p, &List{Sort: l.Sort, Max: 1}, most)
		return nil, matching, err
	}
	places = make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{At: row.At, Name: row.Name, ID: row.ID, IsIdle: l.Sort == SortByNextRunAt && row.IsIdle}
		matching = row.Matching
	}
	return places, matching, nil
}

// walk walks through a list in its order, past so many jobs at most. It returns the places of the
// jobs that match, and reports whether no other is on the page.
func (s *search) walk(ctx context.Context, p *filterParams, l *List, furthest int32) (places []Place, isEnough bool, err error) {
	if l.Sort == SortByNextRunAt {
		return s.walkByNextRun(ctx, p, l, furthest)
	}
	var end *Place
	if furthest < math.MaxInt32 {
		after := l.placeBefore()
		ends, err := s.q.FindPlace(ctx, db.FindPlaceParams{
			Namespace: s.namespace, Sort: string(l.sort()), AfterCreatedAt: after.At, AfterName: after.Name, AfterID: after.ID, SkipRows: furthest,
		})
		if err != nil {
			return nil, false, err
		}
		if len(ends) > 0 {
			end = &Place{At: ends[0].CreatedAt, Name: ends[0].Name, ID: ends[0].ID}
		}
	}
	places, err = s.sorted(ctx, p, l, end)
	return places, end == nil || len(places) == int(l.Max), err
}

// sorted returns the places of a list that one statement sorts, before its end.
func (s *search) sorted(ctx context.Context, p *filterParams, l *List, end *Place) ([]Place, error) {
	after := l.placeBefore()
	args := db.FindJobsParams{
		Namespace: p.Namespace, Ids: p.Ids, Keys: p.Keys, NamePattern: p.NamePattern, KeyPrefix: p.KeyPrefix,
		LabelNames: p.LabelNames, LabelPredicate: p.LabelPredicate, NeedsLabels: p.NeedsLabels, Statuses: p.Statuses,
		TargetType: p.TargetType, Queue: p.Queue, ConcurrencyGroup: p.ConcurrencyGroup, PauseID: p.PauseID,
		LastRunStatuses: p.LastRunStatuses, Healths: p.Healths, IsUnscheduled: p.IsUnscheduled,
		Sort: string(l.sort()), AfterCreatedAt: after.At, AfterName: after.Name, AfterID: after.ID, SkipRows: l.Skip, MaxRows: l.Max,
	}
	if end != nil {
		args.BeforeID, args.BeforeCreatedAt, args.BeforeName = &end.ID, end.At, end.Name
	}
	rows, err := s.q.FindJobs(ctx, args)
	places := make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{At: row.CreatedAt, Name: row.Name, ID: row.ID}
	}
	return places, err
}

// furthest returns how many jobs a walk for the list passes by at most.
func (s *search) furthest(l *List) int32 {
	return int32(min((int64(l.Skip)+int64(l.Max))*s.bounds.walkPerJob, s.bounds.maxWalk))
}

// sort returns the order of the list.
func (l *List) sort() Sort { return cmp.Or(l.Sort, SortByCreatedAt) }

// placeBefore returns the place after which the page begins.
func (l *List) placeBefore() Place {
	switch {
	case l.After != nil:
		return *l.After
	case l.sort() == SortByCreatedAt:
		return Place{At: clock.EndOfTime}
	default:
		return Place{At: clock.StartOfTime}
	}
}
