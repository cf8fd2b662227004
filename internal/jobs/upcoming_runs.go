package jobs

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/labels"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

const (
	// upcomingByDefault is how far ahead upcoming runs are listed if nobody says how far, and
	// maxUpcoming how far at most.
	upcomingByDefault = time.Hour
	maxUpcoming       = 24 * time.Hour
	// maxUpcomingPages is how many pages of jobs are read for one list. More are read only for jobs
	// of which a run executes, and which are not due again.
	maxUpcomingPages = 4
	// maxReady is of how many jobs that are due already it is computed when they are due again.
	maxReady = 1000
	// maxUpcomingWalk is how many rows of due of each kind one page passes by.
	maxUpcomingWalk = 2000
)

// UpcomingRun is an instant at which a job will be due.
type UpcomingRun struct {
	ScheduledFor time.Time
	JobID        uuid.UUID
	JobKey       *string
	JobName      string
}

// UpcomingRuns returns when the active jobs of the caller's namespace that labels select are due
// from now on and before an instant, or within an hour: the first of them, at most limit. All
// before completeUntil are among them. It returns an Invalid if the instant is more than a day
// ahead.
func (s *Service) UpcomingRuns(
	ctx context.Context, by access.Caller, selector labels.Selector, to *time.Time, limit int32,
) (runs []UpcomingRun, completeUntil time.Time, err error) {
	now, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return nil, now, err
	}
	until := now.Add(upcomingByDefault)
	if to != nil {
		until = to.UTC()
	}
	if until.Sub(now) > maxUpcoming {
		return nil, now, &Invalid{[]Field{{"to", TooLarge, "must be at most 24 hours ahead"}}}
	}
	search := s.search(by)
	list := List{
		Filter: Filter{Labels: selector, Statuses: []db.JobStatus{db.JobStatusACTIVE}}, Sort: SortByNextRunAt,
		Max: limit + 1,
	}
	areFew, err := search.areFew(ctx, &list.Filter)
	if err != nil {
		return nil, now, err
	}
	var plan plans
	isCut := false
	if !areFew {
		if isCut, err = search.addReady(ctx, &plan, &list, now); err != nil {
			return nil, now, err
		}
	}
	runs, completeUntil, err = search.upcoming(ctx, &plan, &list, until, int(limit), areFew, now)
	if isCut {
		completeUntil = now
	}
	return runs, clock.Later(completeUntil, now), err
}

// upcoming returns the first instants at which jobs are due: those of plans that are known, and of
// the jobs of the list. All before completeUntil are among them.
func (s *search) upcoming(
	ctx context.Context, known *plans, l *List, until time.Time, limit int, areFew bool, now time.Time,
) (runs []UpcomingRun, completeUntil time.Time, err error) {
	for range maxUpcomingPages {
		var due []Place
		if due, completeUntil, err = s.dueBefore(ctx, l, until, areFew); err != nil {
			return nil, now, fmt.Errorf("look for the jobs that are due soonest: %w", err)
		}
		l.After = &Place{At: completeUntil}
		if len(due) == int(l.Max) { // jobs on later pages are not due before the last job of this one
			completeUntil, l.After = due[len(due)-1].At, &due[len(due)-1]
		}
		if err := s.addPlans(ctx, known, due, now); err != nil {
			return nil, now, err
		}
		for len(*known) > 0 && (*known)[0].next.Before(completeUntil) {
			if len(runs) == limit {
				return runs, (*known)[0].next, nil
			}
			runs = append(runs, known.take())
		}
		if completeUntil.Equal(until) {
			break
		}
	}
	return runs, completeUntil, nil
}

// addReady adds when the jobs are due again that are due already: those of which a run executes,
// and those that are late, which may be all after an outage. It passes by a bounded number, reports
// whether there are more, and makes the list go on behind them.
func (s *search) addReady(ctx context.Context, all *plans, l *List, now time.Time) (isCut bool, err error) {
	due := *l
	due.Max = maxReady + 1
	ready, until, err := s.dueBefore(ctx, &due, now, false)
	if err != nil {
		return false, fmt.Errorf("look for the jobs that are due already: %w", err)
	}
	l.After = &Place{At: now}
	return until.Before(now) || len(ready) == int(due.Max), s.addPlans(ctx, all, ready, now)
}

// areFew reports whether so few jobs match that all of them can be sorted.
func (s *search) areFew(ctx context.Context, f *Filter) (bool, error) {
	if f.Labels.IsEmpty() {
		few, err := s.q.FewJobs(ctx, db.FewJobsParams{Namespace: s.namespace, MaxRows: fewInNamespace + 1})
		if err != nil || len(few) <= fewInNamespace {
			return true, err
		}
		return false, nil
	}
	_, areAll, err := s.few(ctx, f)
	return areAll, err
}

// dueBefore returns the places of the first jobs of a list by nextRunAt that are due before an
// instant, and until when these are all there are. If many match, it passes by a bounded number of
// jobs: where the list asks for jobs that are seldom due, it ends earlier.
func (s *search) dueBefore(ctx context.Context, l *List, until time.Time, areFew bool) (due []Place, completeUntil time.Time, err error) {
	p := l.params(s.namespace)
	if areFew {
		all, _, err := s.match(ctx, &p, l, math.MaxInt32)
		isLater := func(p Place) bool { return p.IsIdle || !p.At.Before(until) }
		return slices.DeleteFunc(all, isLater), until, err
	}
	past, err := s.readyPast(ctx, l, maxUpcomingWalk, until)
	if err != nil {
		return nil, until, err
	}
	// Those that are ready at that very instant are passed by, too: they may be very many.
	completeUntil = clock.Earlier(until, past.Add(time.Microsecond))
	due, err = s.soonestBefore(ctx, &p, l, l.Max, completeUntil)
	return due, completeUntil, err
}

// addPlans adds when the jobs at some places are due from now on.
func (s *search) addPlans(ctx context.Context, all *plans, places []Place, now time.Time) error {
	rows, err := s.q.ListSchedules(ctx, db.ListSchedulesParams{Namespace: s.namespace, Ids: idsAt(places)})
	if err != nil {
		return fmt.Errorf("read the schedules of jobs: %w", err)
	}
	for i := range rows {
		row := &rows[i]
		job := Definition{
			ID: row.ID, IntervalSeconds: row.IntervalSeconds, AnchorAt: row.AnchorAt, Cron: row.Cron, Rrule: row.Rrule, TimeZone: row.TimeZone,
			RunAt: row.RunAt, StartAt: row.StartAt, EndAt: row.EndAt, MaxRuns: row.MaxRuns, JitterSeconds: row.JitterSeconds,
			OnSkipped: row.OnSkipped, CalendarDays: row.CalendarDays, RunCount: row.RunCount,
			RanAheadFrom: row.RanAheadFrom, RanAheadUntil: row.RanAheadUntil,
		}
		view := newView(db.GetJobRow{
			Job: job, ScheduledFor: &row.ScheduledFor, RevisedAt: row.RevisedAt, DueRunCount: row.DueRunCount, Running: row.Running,
		})
		when, err := policy.Schedule(&job)
		if err != nil || view.NextRunAt == nil {
			continue // it is not due again, as far as that can be computed
		}
		after, left := view.upcomingFrom(now)
		// A row that is ready later, such as one that a blackout holds, is not due before.
		p := plan{when: when, left: left, run: UpcomingRun{JobID: row.ID, JobKey: row.Key, JobName: row.Name}}
		if p.advance(clock.Later(after, row.ReadyAt.Add(-time.Microsecond))) {
			heap.Push(all, &p)
		}
	}
	return nil
}

// plan is when a job is due.
type plan struct {
	when schedule.Schedule
	// next is the next instant, and left how many there are at most, with it.
	next time.Time
	left int64
	run  UpcomingRun
}

// advance goes to the first instant after another one, and reports whether there is one.
func (p *plan) advance(after time.Time) (ok bool) {
	p.next, ok = p.when.Next(after)
	return ok && p.left > 0
}

// plans is a heap, with the job that is due first on top.
type plans []*plan

func (p plans) Len() int           { return len(p) }
func (p plans) Less(i, j int) bool { return p[i].next.Before(p[j].next) }
func (p plans) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *plans) Push(x any)        { *p = append(*p, x.(*plan)) } //nolint:forcetypeassert // as below
func (p *plans) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

// take returns the first instant of all, and goes on to the next one of its job.
func (p *plans) take() UpcomingRun {
	first := (*p)[0]
	run := first.run
	run.ScheduledFor = first.next
	first.left--
	if first.advance(first.next) {
		heap.Fix(p, 0)
	} else {
		heap.Pop(p)
	}
	return run
}
