package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/executor"
	"punctual/internal/runid"
	"punctual/internal/runs"
	"punctual/internal/sanitize"
)

// ErrNotLeased says that a run, or a lease, is no longer the worker's, or never was. What the
// worker has done or reports changes nothing.
var ErrNotLeased = errors.New("the lease has expired, or the run was leased anew")

// Report says how an attempt of a leased run ended.
type Report struct {
	Run uuid.UUID
	// Token is that of the run's claim.
	Token  int64
	Output string
	// Failure is as of executor.Executor. Nil: the attempt succeeded.
	Failure error
}

// report is a Report that waits to be stored.
type report struct {
	Report
	by           access.Caller
	lease        uuid.UUID // that the run has to be held under, or zero
	scheduledFor time.Time
	jobTail      []byte
	stored       chan error // has room for the answer
}

const (
	// maxReports is how many reports are stored together at most.
	maxReports = 500
	// storeTimeout bounds storing them: their workers wait.
	storeTimeout = 30 * time.Second
)

// End stores how an attempt of a leased run ended. It returns ErrNotLeased if the token is not that
// of the run's claim. Reports that arrive within a moment are stored together, also of workers that
// do not wait any more.
func (b *Broker) End(ctx context.Context, by access.Caller, what Report) error {
	return b.EndAll(ctx, by, uuid.Nil, what)[0]
}

// EndAll is End for runs that are held under a lease, or any leases if that is zero. It returns an
// error for each report, in their order.
func (b *Broker) EndAll(ctx context.Context, by access.Caller, lease uuid.UUID, all ...Report) []error {
	errs := make([]error, len(all))
	waiting := make([]*report, len(all))
	var parsed []*report
	for i, what := range all {
		r := &report{Report: what, by: by, lease: lease, stored: make(chan error, 1)}
		waiting[i] = r
		var ok bool
		if r.scheduledFor, r.jobTail, ok = runid.Parse(what.Run); ok {
			parsed = append(parsed, r)
		} else {
			r.stored <- ErrNotLeased
		}
	}
	b.store(parsed...)
	for i, r := range waiting {
		select {
		case errs[i] = <-r.stored:
		case <-ctx.Done():
			errs[i] = ctx.Err()
		}
	}
	return errs
}

// store stores reports together with those of others, in the background.
func (b *Broker) store(all ...*report) {
	if len(all) == 0 || !b.reports.Add(all...) {
		return
	}
	go func() {
		for batch := b.reports.Take(); len(batch) > 0; batch = b.reports.Take() {
			b.storeTogether(batch)
		}
	}()
}

// storeTogether stores a batch of reports, and answers each.
func (b *Broker) storeTogether(batch []*report) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	batch, repeated := split(batch)
	defer b.store(repeated...) // which finds the runs as this batch leaves them
	rows, err := b.leased(ctx, batch)
	if err != nil {
		for _, r := range batch {
			r.stored <- err
		}
		return
	}
	now := b.clock.Now()
	ended := make([]*runs.Ended, 0, len(batch))
	reports := make(map[*runs.Ended]*report, len(batch))
	left := make(map[uuid.UUID]int32, len(batch)) // how many runs of each lease the batch leaves
	for i, r := range batch {
		row := rows[i]
		if row == nil {
			r.stored <- ErrNotLeased
			continue
		}
		e := r.end(row, now)
		ended, reports[e] = append(ended, e), r
		if _, isKnown := left[row.Claimed.LeaseID]; !isKnown {
			left[row.Claimed.LeaseID] = row.LeaseSize
		}
		left[row.Claimed.LeaseID]--
	}
	saved := b.runs.Save(ctx, ended)
	for _, refused := range saved.Refused {
		r := reports[refused.Ended]
		delete(reports, refused.Ended)
		go func() { r.stored <- b.saveRefused(refused) }() // the others need not wait for it
	}
	b.forgetLeft(ctx, left, len(saved.Left)+len(saved.Refused) == 0)
	for _, e := range saved.Lost {
		reports[e].stored <- ErrNotLeased
		delete(reports, e)
	}
	for _, e := range saved.Left {
		reports[e].stored <- saved.Err
		delete(reports, e)
	}
	for _, r := range reports {
		r.stored <- nil
	}
}

// end returns how a reported attempt ended.
func (r *report) end(row *db.ListLeasedRow, now time.Time) *runs.Ended {
	failure := r.Failure
	if failure != nil && row.Claimed.CancelReason != nil {
		failure = runs.Canceled{Reason: *row.Claimed.CancelReason}
	}
	return resume(row).End(now, result(r.Output, now.Sub(row.LeasedAt)), failure)
}

// split returns the first report of each run, and the others.
func split(batch []*report) (first, repeated []*report) {
	seen := make(map[uuid.UUID]bool, len(batch))
	for _, r := range batch {
		if seen[r.Run] {
			repeated = append(repeated, r)
			continue
		}
		seen[r.Run] = true
		first = append(first, r)
	}
	return first, repeated
}

// leased reads the runs of reports. A run is nil if the worker does not hold it.
func (b *Broker) leased(ctx context.Context, batch []*report) ([]*db.ListLeasedRow, error) {
	var params db.ListLeasedParams
	for i, r := range batch {
		params.Numbers = append(params.Numbers, int32(i))
		params.Namespaces = append(params.Namespaces, r.by.Namespace)
		params.ScheduledFors = append(params.ScheduledFors, r.scheduledFor)
		params.JobTails = append(params.JobTails, r.jobTail)
		params.Tokens = append(params.Tokens, r.Token)
	}
	rows, err := b.queries.ListLeased(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("read the leased runs: %w", err)
	}
	found := make([]*db.ListLeasedRow, len(batch))
	for i := range rows {
		row := &rows[i]
		b.clock.Observe(row.ReadAt)
		r := batch[row.Number]
		if r.by.MayServe(access.Unqualified(row.Queue)) && (r.lease == uuid.Nil || r.lease == row.Claimed.LeaseID) {
			found[row.Number] = row
		}
	}
	return found, nil
}

// resume returns the attempt that a worker makes.
func resume(row *db.ListLeasedRow) *runs.Attempt {
	a := runs.Resume(&db.ClaimRow{Claimed: row.Claimed, Job: row.Job, ReadAt: row.ReadAt}, row.LeasedAt, row.LeasedVersion)
	a.Holder = row.Holder
	return a
}

// result returns what a worker reported, as the history keeps it.
func result(output string, took time.Duration) *executor.Result {
	kept, isTruncated := sanitize.Text(output, executor.MaxOutput)
	return &executor.Result{Duration: took, Output: kept, OutputIsTruncated: isTruncated}
}

// save stores how runs ended that no worker reports. What others have completed or taken over is
// theirs.
func (b *Broker) save(ctx context.Context, batch []*runs.Ended) error {
	saved := b.runs.Save(ctx, batch)
	err := saved.Err
	for _, refused := range saved.Refused {
		if refusal := b.saveRefused(refused); !errors.Is(refusal, ErrNotLeased) {
			err = errors.Join(err, refusal)
		}
	}
	return err
}

// refusedTimeout bounds storing a run that the database refuses: its worker waits, or others do.
const refusedTimeout = 5 * time.Second

// saveRefused stores a run that the database refuses, at last as failed. It returns ErrNotLeased if
// the run was completed or taken over by others.
func (b *Broker) saveRefused(refused runs.Refused) error {
	ctx, cancel := context.WithTimeout(context.Background(), refusedTimeout)
	defer cancel()
	isLost, err := b.runs.SaveRefused(ctx, refused)
	if isLost {
		return ErrNotLeased
	}
	return err
}
