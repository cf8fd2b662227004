package jobs

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/policy"
)

const (
	// MaxBackfill is how many occurrences a window may have.
	MaxBackfill = 1000
	// maxBackfillDays is how many days a window may span: each day has a partition of runs.
	maxBackfillDays = 366
)

// Backfilled is what became of a window.
type Backfilled struct {
	// Runs is how many runs were started, or would be, and Occurrences how many occurrences the
	// window has.
	Runs, Occurrences int
}

// Backfill starts a run for each occurrence from one instant to another that has none, and to which
// the job's schedule does not come by itself. It returns ErrNotFound, or an Invalid.
func (s *Service) Backfill(ctx context.Context, by access.Caller, id uuid.UUID, from, to time.Time) (done Backfilled, err error) {
	from, to = from.UTC().Truncate(time.Microsecond), to.UTC().Truncate(time.Microsecond)
	occurrences, err := s.occurrencesToBackfill(ctx, by, id, from, to)
	if err != nil {
		return Backfilled{}, err
	}
	// The partitions that the runs need are not left to the statement that stores those of all
	// jobs.
	if err := history.CreatePartitions(ctx, s.queries, occurrences); err != nil {
		return Backfilled{}, err
	}
	var now time.Time
	var queue *string
	err = s.edit(ctx, by, id, func(e edit) (err error) {
		now, queue = e.now, e.job.FirstQueue
		done, err = e.backfill(ctx, from, to)
		return err
	})
	if err != nil {
		return Backfilled{}, err
	}
	s.announce(queue, now)
	return done, nil
}

// PlanBackfill returns what Backfill would do, and changes nothing.
func (s *Service) PlanBackfill(ctx context.Context, by access.Caller, id uuid.UUID, from, to time.Time) (plan Backfilled, err error) {
	from, to = from.UTC().Truncate(time.Microsecond), to.UTC().Truncate(time.Microsecond)
	if _, err := s.occurrencesToBackfill(ctx, by, id, from, to); err != nil {
		return Backfilled{}, err
	}
	err = s.edit(ctx, by, id, func(e edit) error {
		all, passed, err := e.backfillable(ctx, from, to)
		if err != nil {
			return err
		}
		missing, err := e.history.CountMissing(ctx, db.CountMissingParams{JobID: e.job.ID, ScheduledFors: passed, Earliest: from, Latest: to})
		if err != nil {
			return fmt.Errorf("count the occurrences: %w", err)
		}
		plan = Backfilled{Runs: int(missing), Occurrences: len(all)}
		return nil
	})
	return plan, err
}

// occurrencesToBackfill checks a window, and returns the occurrences of the job in it.
func (s *Service) occurrencesToBackfill(ctx context.Context, by access.Caller, id uuid.UUID, from, to time.Time) ([]time.Time, error) {
	if err := mayBegin(by); err != nil {
		return nil, err
	}
	view, err := s.get(ctx, by, id)
	if err != nil {
		return nil, err
	}
	now, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return nil, err
	}
	if err := InvalidIfAny(s.checkWindow(by, from, to, now)); err != nil {
		return nil, err
	}
	return occurrencesIn(&view.Job, from, clock.Earlier(to, now))
}

func (s *Service) checkWindow(by access.Caller, from, to, now time.Time) (wrong []Field) {
	if from.After(to) {
		wrong = append(wrong,
			Field{"from", Conflicting, "must not be after to"}, Field{"to", Conflicting, "must not be before from"})
	}
	oldest := s.oldestKept(by, now)
	switch {
	case from.Before(time.Unix(0, 0)): // an instant that the id of a run cannot hold
		wrong = append(wrong, Field{"from", TooSmall, "must not be before 1970"})
	case from.Before(oldest):
		wrong = append(wrong, Field{
			"from", OlderThanRetention,
			fmt.Sprintf("must not be before %s: runs are kept for %d days", oldest.Format(time.RFC3339), s.retentionDays(by)),
		})
	case to.Sub(from) > maxBackfillDays*24*time.Hour:
		detail := fmt.Sprintf("the window must not be longer than %d days", maxBackfillDays)
		wrong = append(wrong, Field{"from", TooSmall, detail}, Field{"to", TooLarge, detail})
	}
	return wrong
}

// occurrencesIn returns the occurrences of a job from one instant to another, or an Invalid if
// there are too many.
func occurrencesIn(job *Definition, from, to time.Time) (all []time.Time, err error) {
	when, err := policy.Schedule(job)
	if err != nil {
		return nil, err
	}
	for next, ok := when.Next(from.Add(-time.Microsecond)); ok && !next.After(to); next, ok = when.Next(next) {
		if len(all) == MaxBackfill {
			detail := fmt.Sprintf("the window has more than %d occurrences", MaxBackfill)
			return nil, &Invalid{[]Field{{"from", TooManyOccurrences, detail}, {"to", TooManyOccurrences, detail}}}
		}
		all = append(all, next)
	}
	return all, nil
}

// backfillable returns all occurrences of a window, and those to which the schedule does not come
// by itself.
func (e *edit) backfillable(ctx context.Context, from, to time.Time) (all, passed []time.Time, err error) {
	if to.After(e.now) { // which it may not be any more when the lock has been waited for
		return nil, nil, &Invalid{[]Field{{"to", InTheFuture, "must not be in the future"}}}
	}
	if all, err = occurrencesIn(&e.job, from, to); err != nil {
		return nil, nil, err
	}
	rows, err := e.lockRows(ctx)
	if err != nil {
		return nil, nil, err
	}
	if row := findLast(rows, carriesSchedule); row != nil {
		reached := clock.Later(row.ScheduledFor, clock.OrZero(row.RevisedAt))
		return all, all[:sort.Search(len(all), func(i int) bool { return all[i].After(reached) })], nil
	}
	return all, all, nil
}

func (e *edit) backfill(ctx context.Context, from, to time.Time) (Backfilled, error) {
	all, passed, err := e.backfillable(ctx, from, to)
	if err != nil {
		return Backfilled{}, err
	}
	started, err := e.history.Backfill(ctx, db.BackfillParams{
		JobID: e.job.ID, ScheduledFors: passed, Earliest: from, Latest: to,
		ConcurrencyGroup: e.job.QualifiedGroup, Queue: e.job.FirstQueue,
	})
	if err != nil {
		return Backfilled{}, fmt.Errorf("add the occurrences: %w", err)
	}
	done := Backfilled{Runs: int(started), Occurrences: len(all)}
	if done.Runs == 0 {
		return done, nil
	}
	return done, e.auditJob(ctx, "backfillJob", result{"runs": done.Runs, "occurrences": done.Occurrences})
}
