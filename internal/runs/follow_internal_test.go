package runs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/executor"
	"punctual/internal/policy"
)

// follower records what a store announces, and what it does to jobs.
type follower struct {
	due       map[string]time.Time // by queue; empty: instances
	paused    []string
	completed int
}

func (f *follower) Pause(_ context.Context, _ access.Caller, _ uuid.UUID, reason string) error {
	f.paused = append(f.paused, reason)
	return nil
}

func (f *follower) CompleteUsedUp(context.Context, access.Caller, uuid.UUID) (bool, error) {
	f.completed++
	return true, nil
}

// followed returns what follows from runs that were stored, and those which were not.
func followed(t *testing.T, batch []*Ended, stored map[key]bool) (follower, []*Ended) {
	t.Helper()
	f := follower{due: map[string]time.Time{}}
	store := Store{Logger: slog.New(slog.DiscardHandler), Jobs: &f, Due: func(queue *string, readyAt time.Time) {
		name := ""
		if queue != nil {
			name = *queue
		}
		require.NotContains(t, f.due, name, "it is told once")
		f.due[name] = readyAt
	}}
	missing := store.follow(t.Context(), batch, stored)
	return f, missing
}

func TestFollowAnnouncesWhatIsDue(t *testing.T) {
	t.Parallel()
	plain := func() *Ended { return begin(t, nil).End(at(1.2), nil, nil) }
	tests := map[string]struct {
		batch []*Ended
		want  map[string]time.Time
	}{
		"the next occurrence": {[]*Ended{plain()}, map[string]time.Time{"": at(2)}},
		"the next attempt": {
			[]*Ended{begin(t, nil).End(at(1.2), nil, errNoLuck)}, map[string]time.Time{"": at(1.2).Add(5 * time.Second)},
		},
		"the first of several": {
			[]*Ended{
				plain(), begin(t, nil).End(at(1.4), nil, errNoLuck), begin(t, nil).End(at(1.3), nil, errNoLuck), plain(),
			},
			map[string]time.Time{"": at(1.3).Add(5 * time.Second)},
		},
		"nothing off the schedule": {
			[]*Ended{begin(t, func(row *db.Claimed, _ *db.Job) { row.CarriesSchedule = false }).End(at(1.2), nil, nil)},
			map[string]time.Time{},
		},
		"to the workers of a queue": {
			[]*Ended{begin(t, func(row *db.Claimed, _ *db.Job) { row.Queue = new("q") }).End(at(1.2), nil, nil)},
			map[string]time.Time{"q": at(2)},
		},
		"another run of the group": {
			[]*Ended{
				plain(), begin(t, func(row *db.Claimed, _ *db.Job) { row.ConcurrencyGroup, row.Queue = new("g"), new("q") }).End(at(1.2), nil, nil),
			},
			map[string]time.Time{"": at(2), "g": at(1.2)},
		},
		"another run of the group that its job has left": {
			[]*Ended{
				begin(t, func(row *db.Claimed, job *db.Job) {
					row.ConcurrencyGroup, row.RevisedAt, job.FirstQueue = new("g"), new(at(1)), new("q")
				}).End(at(1.2), nil, nil),
			},
			map[string]time.Time{"q": at(2), "g": at(1.2)},
		},
	}
	for name, c := range tests {
		f, missing := followed(t, c.batch, nil)
		require.Equal(t, c.want, f.due, name)
		require.Empty(t, missing, name)
		require.Empty(t, f.paused, name)
		require.Zero(t, f.completed, name)
	}
}

func TestFollowReturnsWhatWasNotStored(t *testing.T) {
	t.Parallel()
	stored := begin(t, nil).End(at(1.2), nil, nil)
	missing := begin(t, func(row *db.Claimed, job *db.Job) {
		row.JobID, job.ID, row.Queue = uuid.UUID{2}, uuid.UUID{2}, new("q")
	}).End(at(1.2), nil, nil)
	f, got := followed(t, []*Ended{missing, stored}, map[key]bool{keyOf(stored.Due.JobID, stored.Due.ScheduledFor): true})
	require.Equal(t, []*Ended{missing}, got)
	require.Equal(t, map[string]time.Time{"": at(2)}, f.due, "of the run that was stored")
}

func TestFollowChangesTheJob(t *testing.T) {
	t.Parallel()
	offSchedule := func(row *db.Claimed, job *db.Job) { row.CarriesSchedule, job.MaxRuns = false, new(int64(1)) }
	gone := &executor.Failure{Err: errNoLuck, PauseReason: "gone"}
	tests := map[string]struct {
		ended     *Ended
		paused    []string
		completed int
	}{
		"complete it, off the schedule": {ended: begin(t, offSchedule).End(at(1.2), nil, nil), completed: 1},
		"not by a run on the schedule, whose completion does": {
			ended: begin(t, func(_ *db.Claimed, job *db.Job) { job.MaxRuns = new(int64(1)) }).End(at(1.2), nil, gone),
		},
		"not before the last attempt": {ended: begin(t, offSchedule).End(at(1.2), nil, errNoLuck)},
		"pause it because the target says so": {
			ended:  begin(t, func(row *db.Claimed, _ *db.Job) { row.CarriesSchedule = false }).End(at(1.2), nil, gone),
			paused: []string{"gone"},
		},
	}
	for name, c := range tests {
		f, _ := followed(t, []*Ended{c.ended}, nil)
		require.Equal(t, c.paused, f.paused, name)
		require.Equal(t, c.completed, f.completed, name)
	}

	_, unbegun := newClaimed(newRow(func(row *db.Claimed, job *db.Job) {
		offSchedule(row, job)
		row.CancelReason = new(db.RunReasonREQUESTED)
	})).Prepare(at(1))
	f, _ := followed(t, []*Ended{unbegun}, nil)
	require.Zero(t, f.completed, "a run without an attempt does not count")

	detached := begin(t, func(_ *db.Claimed, job *db.Job) { job.MaxRuns = new(int64(1)) })
	detached.isDetached = true
	f, _ = followed(t, []*Ended{detached.End(at(1.2), nil, nil)}, nil)
	require.Zero(t, f.completed, "a run whose schedule was detached counts with the schedule")
}

func TestCompletionCountsSkippedOccurrences(t *testing.T) {
	t.Parallel()
	_, missed := newClaimed(newRow(nil)).Prepare(at(3.5))
	long := begin(t, func(_ *db.Claimed, job *db.Job) { job.RunHistory = db.RunHistoryFAILURES }).End(at(3.5), nil, nil)
	require.Equal(t, policy.Step{Next: at(4), Skipped: 2, SkippedFrom: at(2)}, long.step)
	rows := []db.CompleteRow{{JobID: missed.Due.JobID, ScheduledFor: missed.Due.ScheduledFor}}
	all, err := recordsOf([]*Ended{missed}, rows)
	require.NoError(t, err)
	require.Equal(t, []int32{2}, all.runs.Occurrences, "the missed run stands for both")
	require.Empty(t, all.overlaps)
	all, err = recordsOf([]*Ended{long}, rows)
	require.NoError(t, err)
	require.Empty(t, all.runs, "the job keeps failures only")
	require.Equal(t, []time.Time{at(2)}, all.overlaps.ScheduledFors)
	require.Equal(t, []int32{2}, all.overlaps.Occurrences)
}
