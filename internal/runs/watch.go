package runs

import (
	"context"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/events"
)

// watched are the runs of a batch after which something is noted of their jobs beyond the run, in
// the transaction of the completion: that the job is failing, that it has recovered, or that it has
// succeeded in time. Of most batches there are none.
type watched struct {
	failed, recovered, expected []*Ended
}

// add adds a run, if something may have to be noted. wanted are the types of events that somebody
// wants to know of the namespace: whether a job is failing is noted only if somebody does. Of a run
// off the schedule, what is known of the others is as old as its claim, and they may have ended
// since then.
func (w *watched) add(e *Ended, wanted events.Set) {
	isNoted := wanted.Has(events.JobFailing) || wanted.Has(events.JobRecovered)
	switch e.status {
	case db.RunStatusFAILED:
		if isNoted && (e.isOffSchedule() || (e.Job.FailingSince == nil && e.failures()+1 >= e.Job.AlertAfterFailures)) {
			w.failed = append(w.failed, e)
		}
	case db.RunStatusSUCCEEDED:
		if e.Job.FailingSince != nil || (isNoted && e.isOffSchedule()) {
			w.recovered = append(w.recovered, e)
		}
		if e.Job.ExpectSuccessWithinSeconds != nil {
			w.expected = append(w.expected, e)
		}
	default: // nothing is noted of it
	}
}

func (w *watched) isEmpty() bool { return len(w.failed)+len(w.recovered)+len(w.expected) == 0 }

// lock locks the jobs of a batch that its completion changes or of which something is to be noted.
func (w *watched) lock(ctx context.Context, q *db.Queries, batch []*Ended) error {
	if w.isEmpty() {
		return nil
	}
	var ids []uuid.UUID
	for _, all := range [][]*Ended{w.failed, w.recovered, w.expected} {
		for _, e := range all {
			ids = append(ids, e.Due.JobID)
		}
	}
	for _, e := range batch {
		if e.isOffSchedule() || e.step.FinalStatus != "" {
			ids = append(ids, e.Due.JobID)
		}
	}
	return q.LockCompleted(ctx, ids)
}

// note notes what there is to note of the runs that were stored, and returns what happened to their
// jobs by that.
func (w *watched) note(ctx context.Context, q *db.Queries, stored map[key]bool) (what []events.Event, err error) {
	ofJob := map[uuid.UUID]*Ended{} // a run of each job, the latest
	jobsOf := func(all []*Ended) (ids []uuid.UUID) {
		for _, e := range all {
			if stored[keyOf(e.Due.JobID, e.Due.ScheduledFor)] {
				ids, ofJob[e.Due.JobID] = append(ids, e.Due.JobID), e
			}
		}
		return ids
	}
	if ids := jobsOf(w.failed); len(ids) > 0 {
		failing, err := q.MarkFailing(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, job := range failing {
			what = append(what, ofJob[job.ID].ofJob(events.JobFailing, int32(job.Failures)))
		}
	}
	var recovered []uuid.UUID
	if ids := jobsOf(w.recovered); len(ids) > 0 {
		if recovered, err = q.ClearFailing(ctx, ids); err != nil {
			return nil, err
		}
	}
	if ids := jobsOf(w.expected); len(ids) > 0 {
		params := db.NoteSuccessesParams{JobIds: ids}
		for _, id := range ids {
			params.SucceededAts = append(params.SucceededAts, ofJob[id].finished)
		}
		late, err := q.NoteSuccesses(ctx, params)
		if err != nil {
			return nil, err
		}
		recovered = append(recovered, late...)
	}
	told := map[uuid.UUID]bool{} // a job may have been failing and overdue
	for _, id := range recovered {
		if !told[id] {
			told[id] = true
			what = append(what, ofJob[id].ofJob(events.JobRecovered, 0))
		}
	}
	return what, nil
}
