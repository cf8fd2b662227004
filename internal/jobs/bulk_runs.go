package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/history"
	"punctual/internal/runid"
)

// The actions of a bulk change of runs, as openapi.yaml defines them.
const (
	BulkRetry  BulkAction = "RETRY"
	BulkCancel BulkAction = "CANCEL"
)

// appliesTo are the statuses of the runs that an action is for.
var appliesTo = map[BulkAction][]string{
	BulkRetry:  {string(db.RunStatusFAILED), string(db.RunStatusSKIPPED), string(db.RunStatusCANCELED)},
	BulkCancel: {"PENDING", "RUNNING"},
}

// RunBulk says what to do to which runs of a namespace.
type RunBulk struct {
	Action BulkAction
	// Filter selects the runs. Without statuses and without IDs, those that the action is for.
	Filter RunFilter
	// IDs are the runs that are meant, if they match the filter. Default: all that match.
	IDs []uuid.UUID
	// IsDryRun says that nothing is to be changed.
	IsDryRun bool
	// After is the last run of the request before, and Max how many runs to handle at most.
	After history.Place
	Max   int32
}

// RunBulkItem is what became of one run.
type RunBulkItem struct {
	ID, JobID uuid.UUID
	// IsChanged says that it was retried or canceled, or would be.
	IsChanged bool
	// Retry is the run that was started, if one was.
	Retry *uuid.UUID
	// Err is why the run could not be changed: what the change of the single run returns.
	Err error
}

// RunBulkDone is what became of a bulk change of runs.
type RunBulkDone struct {
	Items []RunBulkItem
	// Next is where the next request goes on, or nil if there are no more runs.
	Next *history.Place
}

// errRetried is the error for a run that was retried already.
var errRetried = errors.New("the run was retried already")

// ChangeRuns does one thing to each run that a filter finds, newest first, each in a transaction of
// its own. It ends before Max runs if it takes long, or after an error that is no refusal: what was
// done stays done, and Next tells where to go on.
func (s *Service) ChangeRuns(ctx context.Context, by access.Caller, b RunBulk) (done RunBulkDone, err error) {
	if err := mayBegin(by); err != nil && b.Action == BulkRetry {
		return done, err
	}
	until := time.Now().Add(bulkWithin)
	since, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return done, err
	}
	runs, next, err := s.selectRuns(ctx, by, &b, until)
	if err != nil {
		return done, fmt.Errorf("find the runs: %w", err)
	}
	var retried map[retryKey]time.Time
	if b.Action == BulkRetry {
		if retried, err = s.listRetried(ctx, runs, since); err != nil {
			return done, err
		}
	}
	done.Next, done.Items = next, make([]RunBulkItem, len(runs))
	begun := each(ctx, len(runs), until, func(ctx context.Context, i int) error {
		run := runs[i]
		item := RunBulkItem{ID: runid.New(run.JobID, run.ScheduledFor), JobID: run.JobID}
		switch {
		case b.Action == BulkCancel:
			item.IsChanged, item.Err = s.cancelOnce(ctx, by, run, item.ID, b.IsDryRun)
		case run.Status == string(db.RunStatusSUCCEEDED) || retried[keyOf(run)].After(run.ScheduledFor):
		case b.IsDryRun:
			item.IsChanged = true
		default:
			item.Retry, item.Err = s.retryOnce(ctx, by, item.ID, since)
			item.IsChanged = item.Retry != nil
		}
		done.Items[i] = item
		return item.Err
	})
	if done.Items = done.Items[:begun]; begun < len(runs) {
		done.Next = &history.Place{At: runs[begun-1].ScheduledFor, Job: runs[begun-1].JobID}
	}
	return done, ctx.Err()
}

// cancelOnce cancels a run that is open. It leaves one alone that has ended, or that was canceled.
func (s *Service) cancelOnce(ctx context.Context, by access.Caller, run Run, id uuid.UUID, isDryRun bool) (isChanged bool, err error) {
	if run.FinishedAt != nil || run.CancelRequestedAt != nil || isDryRun {
		return run.FinishedAt == nil && run.CancelRequestedAt == nil, nil
	}
	isChanged, err = s.cancelRun(ctx, by, id, run)
	if conflict, ok := errors.AsType[*Conflict](err); ok && conflict.Code == RunHasEnded {
		return false, nil
	}
	return isChanged, err
}

// retryOnce retries a run, unless it was retried from an instant on.
func (s *Service) retryOnce(ctx context.Context, by access.Caller, id uuid.UUID, since time.Time) (*uuid.UUID, error) {
	again, err := s.retry(ctx, by, id, start{unlessSince: &since})
	if errors.Is(err, errRetried) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return new(runid.New(again.JobID, again.ScheduledFor)), nil
}

// checkNotRetried returns errRetried if a run was retried since an instant. The job is locked, so
// nobody retries it meanwhile.
func (e *edit) checkNotRetried(ctx context.Context, what start) error {
	retried, err := e.history.ListRetried(ctx, db.ListRetriedParams{
		JobIds: []uuid.UUID{e.job.ID}, RetryOfs: []time.Time{*what.retryOf}, Before: e.now.Add(ahead),
		// Whoever has retried it a moment before may have committed later.
		Since: what.unlessSince.Add(-time.Minute),
	})
	if err != nil {
		return fmt.Errorf("look for a retry of the run: %w", err)
	}
	at, _, _ := runid.Parse(what.repeated)
	if slices.ContainsFunc(retried, func(r db.ListRetriedRow) bool { return r.RetriedAt.After(at) }) {
		return errRetried
	}
	return nil
}

// retryKey names what retries of one run have in common.
type retryKey struct {
	job      uuid.UUID
	original int64 // in microseconds
}

func keyOf(run Run) retryKey { return retryKey{run.JobID, originalOf(run).UnixMicro()} }

// listRetried returns when runs were retried last, of those that were. Runs are newest first.
func (s *Service) listRetried(ctx context.Context, runs []Run, now time.Time) (map[retryKey]time.Time, error) {
	if len(runs) == 0 {
		return nil, nil
	}
	p := db.ListRetriedParams{Since: runs[len(runs)-1].ScheduledFor, Before: now.Add(ahead)}
	for _, run := range runs {
		p.JobIds, p.RetryOfs = append(p.JobIds, run.JobID), append(p.RetryOfs, originalOf(run))
	}
	retried := map[retryKey]time.Time{}
	err := history.Between(ctx, s.Pool, p.Since, p.Before, func(q *db.Queries, since, before time.Time) error {
		p.Since, p.Before = since, before
		rows, err := q.ListRetried(ctx, p)
		for _, row := range rows {
			key := retryKey{row.JobID, row.RetryOf.UnixMicro()}
			if row.RetriedAt.After(retried[key]) {
				retried[key] = row.RetriedAt
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the runs that were retried: %w", err)
	}
	return retried, nil
}

// selectRuns returns the runs that a bulk change is for, and where the next request goes on.
func (s *Service) selectRuns(ctx context.Context, by access.Caller, b *RunBulk, until time.Time) (runs []Run, next *history.Place, err error) {
	if b.IDs != nil {
		return s.selectByID(ctx, by, b)
	}
	if len(b.Filter.Statuses) == 0 {
		b.Filter.Statuses = appliesTo[b.Action]
	}
	for next = &b.After; next != nil && len(runs) < int(b.Max) && !time.Now().After(until); {
		var page []Run
		if page, next, err = s.FindRuns(ctx, by, b.Filter, *next, b.Max-int32(len(runs))); err != nil {
			return nil, nil, err
		}
		runs = append(runs, page...)
	}
	return runs, next, nil
}
