package history

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/labels"
)

const (
	// maxWindow is how many runs a window of time has that a page looks through by one statement,
	// unless more of them have the same instant.
	maxWindow = 4000
	// firstWindow is as many for the first window. Each window after it may have twice as many.
	firstWindow = 500
	// maxLooked and maxCounted bound a page: how many runs it looks at, and how many windows it
	// tries.
	maxLooked  = 10_000
	maxCounted = 40
	// fewJobs is up to how many jobs a list looks runs up by their jobs. Runs of more jobs are
	// found by their time.
	fewJobs = 500
	// smallRuns is up to how many bytes of runs, some thousand runs, the first window reaches back
	// through all.
	smallRuns = 1 << 20
	// firstSpan and minSpan are how long the first window lasts if there may be many runs, and
	// the shortest one.
	firstSpan, minSpan = time.Second, time.Millisecond
	// maxSpan keeps a span in the bounds of its type.
	maxSpan = 10 * 365 * 24 * time.Hour
	// findPartitions is maxPartitions without the one that begins where a window ends.
	findPartitions = maxPartitions - 1
)

// Filter says which runs of a namespace are meant: those that match all of its fields that are not
// empty.
type Filter struct {
	Namespace string
	// JobIDs are the jobs whose runs are meant. Nil: all.
	JobIDs []uuid.UUID
	// Labels selects jobs. A deleted job has no labels any more.
	Labels                      labels.Selector
	Statuses, Reasons, Triggers []string
	// From is the first instant, and To the first one after the last.
	From, To time.Time
	// Ahead is the instant after which only runs are open that somebody or an event has asked for.
	Ahead time.Time
}

// Place is where in a list of runs a run stands: newest first, and by the id of the job among those
// of one instant.
type Place struct {
	At  time.Time
	Job uuid.UUID
}

// isEnded tells which statuses are those of runs that have ended.
func isEnded(status string) bool { return db.RunStatus(status).Valid() }

// Find returns the runs that match after a place, newest first, at most so many. Next is where the
// list goes on; nil is its end. A page looks at a bounded number of runs, so it may have fewer than
// maxRows, or none, and a next one.
func Find(ctx context.Context, conn db.DBTX, f Filter, after Place, maxRows int) (rows []db.FindRunsRow, next *Place, err error) {
	f.From = clock.Later(f.From, time.Unix(0, 0)) // before which nothing is scheduled
	if !after.At.After(f.From) || (f.JobIDs != nil && len(f.JobIDs) == 0) {
		return nil, nil, nil
	}
	if after.At.After(f.To) {
		after = Place{At: f.To}
	}
	s := search{Queries: Queries(conn), maxRows: maxRows, from: f.From, ahead: f.Ahead, most: firstWindow, p: db.FindRunsParams{
		Namespace: f.Namespace, JobIds: f.JobIDs, Statuses: orNil(f.Statuses), Reasons: orNil(f.Reasons), Triggers: orNil(f.Triggers),
		WithOpen:  len(f.Reasons) == 0 && (len(f.Statuses) == 0 || slices.ContainsFunc(f.Statuses, func(s string) bool { return !isEnded(s) })),
		WithEnded: len(f.Statuses) == 0 || slices.ContainsFunc(f.Statuses, isEnded),
		IsUsual: len(f.Reasons) == 0 && (len(f.Statuses) == 0 || slices.Contains(f.Statuses, string(db.RunStatusSUCCEEDED))) &&
			(len(f.Triggers) == 0 || slices.Contains(f.Triggers, string(db.RunTriggerSCHEDULE))),
		HasLabels: !f.Labels.IsEmpty(), LabelNames: f.Labels.Names(), Before: after.At, BeforeJob: after.Job,
	}}
	if predicate := f.Labels.Predicate(); predicate != "" {
		s.p.LabelPredicate = &predicate
	}
	if err := s.chooseJobs(ctx, f.Labels.NeedsLabels()); err != nil {
		return nil, nil, err
	}
	for len(s.rows) <= maxRows && s.p.Before.After(f.From) { // one more, to know that there is one
		if s.looked >= maxLooked || s.counted >= maxCounted {
			return s.rows, &Place{s.p.Before, s.p.BeforeJob}, nil
		}
		if err := s.step(ctx); err != nil {
			return nil, nil, err
		}
	}
	if len(s.rows) > maxRows {
		last := &s.rows[maxRows-1]
		return s.rows[:maxRows], &Place{last.ScheduledFor, last.JobID}, nil
	}
	return s.rows, nil, nil
}

func orNil[T any](all []T) []T {
	if len(all) == 0 {
		return nil
	}
	return all
}

// search is a list on its way back in time.
type search struct {
	*db.Queries
	// p has the place that the list has come to.
	p db.FindRunsParams
	// jobs are those by which runs are looked up. Nil: they are found by their time.
	jobs []uuid.UUID
	from time.Time
	// ahead is the instant after which only runs are open that somebody has asked for.
	ahead   time.Time
	maxRows int
	rows    []db.FindRunsRow
	// oldest is where the partitions begin that may be read by one statement.
	oldest time.Time
	// span is how far the next window reaches back.
	span time.Duration
	// crowded is the instant back to which there are too many runs for one window. Many jobs may be
	// due at one instant, to which the windows get closer by halves.
	crowded time.Time
	// most is how many runs the next window has at most.
	most            int32
	looked, counted int
}

// chooseJobs makes the list go by the jobs, if they are few.
func (s *search) chooseJobs(ctx context.Context, needsLabels bool) error {
	if s.p.JobIds == nil {
		p := db.FewJobsParams{Namespace: s.p.Namespace, MaxRows: fewJobs + 1}
		if needsLabels { // else no index finds the jobs: to look for them would read all of them
			p.HasLabels, p.LabelNames, p.LabelPredicate, p.NeedsLabels = true, s.p.LabelNames, s.p.LabelPredicate, true
		}
		ids, err := s.FewJobs(ctx, p)
		if err != nil {
			return fmt.Errorf("read the jobs of a namespace, if they are few: %w", err)
		}
		if len(ids) > fewJobs {
			return nil
		}
		s.p.JobIds = append([]uuid.UUID{}, ids...) // not nil, which stands for all
	}
	if len(s.p.JobIds) <= fewJobs {
		s.jobs = s.p.JobIds
	}
	return nil
}

// step reads one window, or finds that it has to be shorter.
func (s *search) step(ctx context.Context) error {
	if !s.p.Before.After(s.oldest) || s.span == 0 {
		if err := s.bound(ctx); err != nil {
			return err
		}
	}
	s.counted++
	s.p.Since = clock.Later(s.oldest, s.p.Before.Add(-s.span))
	if s.p.IsAhead = s.p.Before.After(s.ahead); s.p.IsAhead {
		s.p.Since = clock.Later(s.p.Since, s.ahead)
	}
	found, err := s.CountRunsWithin(ctx, db.CountRunsWithinParams{
		Since: s.p.Since, Before: s.p.Before, BeforeJob: s.p.BeforeJob, JobIds: s.jobs,
		IsAhead: s.p.IsAhead, WithEnded: s.p.WithEnded, WithOpen: s.p.WithOpen, IsUsual: s.p.IsUsual, MaxRows: s.most + 1,
	})
	if err != nil {
		return fmt.Errorf("count the runs to look at: %w", err)
	}
	if found > int64(s.most) && s.span > minSpan {
		s.crowded, s.span = s.p.Since, max(minSpan, s.p.Before.Sub(s.p.Since)/64)
		return nil
	}
	if found > 0 {
		s.p.MaxRows = int32(s.maxRows + 1 - len(s.rows))
		page, err := s.FindRuns(ctx, s.p)
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		s.rows = append(s.rows, page...)
	}
	s.looked, s.most = s.looked+int(found), min(2*s.most, maxWindow)
	s.p.Before, s.p.BeforeJob = s.p.Since, uuid.UUID{}
	s.span = min(maxSpan, time.Duration(float64(s.span)*min(16, float64(s.most)/float64(max(found, 1)))))
	if left := s.p.Before.Sub(s.crowded); left > 0 {
		s.span = min(s.span, max(minSpan, left/2))
	}
	return nil
}

// bound sees to it that the next windows read a bounded number of partitions. The first of them
// reaches back through all of these, unless there may be many runs to look at one by one.
func (s *search) bound(ctx context.Context) (err error) {
	s.oldest, err = s.RunsPageStart(ctx, db.RunsPageStartParams{Before: s.p.Before, Skipped: findPartitions - 1})
	if err != nil {
		return fmt.Errorf("find the partitions of runs to list: %w", err)
	}
	s.oldest = clock.Later(s.oldest, s.from)
	s.span = s.p.Before.Sub(s.oldest)
	if s.jobs != nil || !s.p.IsUsual || !s.p.WithEnded {
		return nil
	}
	size, err := s.SizeOfRuns(ctx, db.SizeOfRunsParams{Since: s.oldest, Before: s.p.Before})
	if err != nil {
		return fmt.Errorf("read the size of the runs to list: %w", err)
	}
	if size > smallRuns {
		s.span = min(s.span, firstSpan)
	}
	return nil
}
