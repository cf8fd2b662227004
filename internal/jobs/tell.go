package jobs

import (
	"cmp"
	"context"
	"time"

	"punctual/gen/db"
	"punctual/internal/events"
	"punctual/internal/executor"
	"punctual/internal/runid"
)

// aftermath is what others hear of a change once it is committed.
type aftermath struct {
	// events are what happened.
	events []events.Event
	// ended are the runs that the change has ended.
	ended []ended
	// startsOn is whether other jobs than before are started by events, or by other events.
	startsOn bool
}

// ended is a run that a change has ended, and its job as it was before.
type ended struct {
	job db.Job
	run events.Run
}

// tell stores what the events of a change start, in its transaction, and returns what to do when
// that is committed.
func (s *Service) tell(ctx context.Context, e edit) (committed func(), err error) {
	told, err := s.Events.Tell(ctx, e.Queries, e.after.events...)
	return func() {
		if e.after.startsOn {
			s.changedStartsOn()
		}
		for i := range e.after.ended {
			s.Observe(&e.after.ended[i].job, executor.TypeOf(e.after.ended[i].job.Target), e.after.ended[i].run)
		}
		told()
	}, err
}

// changedStartsOn makes all instances read again which jobs events start.
func (s *Service) changedStartsOn() {
	s.Events.Forget()
	s.Announce(events.ChangedStartsOn, time.Time{})
}

// noteEnd notes that the change ends a run of the job.
func (e *edit) noteEnd(run events.Run) {
	job := e.job
	job.Namespace = cmp.Or(job.Namespace, e.by.Namespace) // of what concerns only runs, the job is not known
	e.after.ended = append(e.after.ended, ended{job, run})
}

// tellSkipped notes that a run of the job is skipped, of which the caller says what is not so by
// itself.
func (e *edit) tellSkipped(run events.Run) {
	run.ID, run.Status, run.FinishedAt = runid.New(e.job.ID, run.ScheduledFor), db.RunStatusSKIPPED, e.now
	run.Trigger, run.Occurrences = cmp.Or(run.Trigger, db.RunTriggerSCHEDULE), max(run.Occurrences, 1)
	e.noteEnd(run)
	e.after.events = append(e.after.events, events.OfRun(events.RunSkipped, &e.job, run))
}

// tellChange notes what a change of the job means for others.
func (e *edit) tellChange(after *Definition) {
	if e.job.StartsOn != nil || after.StartsOn != nil {
		e.after.startsOn = true
	}
	if after.Status == db.JobStatusPAUSED && e.job.Status != db.JobStatusPAUSED {
		e.tellJob(events.JobPaused, after, events.Change{StatusReason: after.StatusReason, Actor: new(e.by.Actor)})
	}
}

// tellCompleted notes that the job is completed.
func (e *edit) tellCompleted(after *Definition) {
	e.after.startsOn = e.after.startsOn || after.StartsOn != nil
	e.tellJob(events.JobCompleted, after, events.Change{})
}

func (e *edit) tellJob(kind events.Type, after *Definition, change events.Change) {
	change.At, change.ConsecutiveFailures = e.now, int32(after.Failures)
	e.after.events = append(e.after.events, events.OfJob(kind, after, change))
}
