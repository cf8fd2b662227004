//go:build chaos

package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// run is a row of the table runs.
type run struct {
	JobID        uuid.UUID
	ScheduledFor time.Time
	StartedAt    *time.Time
	FinishedAt   time.Time
	Status       string
	Attempt      int
}

func (r run) String() string {
	return fmt.Sprintf("job %s at %s (%s, attempt %d, started %v, finished %s)", r.JobID,
		r.ScheduledFor.Format(time.RFC3339Nano), r.Status, r.Attempt, r.StartedAt, r.FinishedAt.Format(time.RFC3339Nano))
}

// grid computes the occurrences that each job should have had, from the interval in its name.
const grid = `
	with job as (
		select id as job_id, created_at, split_part(name, '-', 2)::integer * interval '1 second' as every
		from jobs
	), next as (
		select job.*, count(d.job_id) as rows, min(d.scheduled_for) as next_for
		from job left join due d using (job_id)
		group by job.job_id, created_at, every
	), expected as (
		select job_id, scheduled_for
		from next, generate_series(created_at + every, next_for - every, every) as scheduled_for
	)`

// settle waits until everything that is due now has been executed, and stops the instances. It
// returns the instant up to which everything was executed.
func (s *system) settle(t *testing.T) (upTo time.Time) {
	t.Helper()
	upTo = s.now(t)
	ok := assert.Eventually(t, func() bool {
		var waiting int
		err := s.db.QueryRow(t.Context(), "select count(*) from due where scheduled_for <= $1", upTo).Scan(&waiting)
		return err == nil && waiting == 0
	}, settleWithin, 200*time.Millisecond)
	if !ok {
		var waiting string
		require.NoError(t, s.db.QueryRow(t.Context(), `
			select coalesce(string_agg(to_jsonb(w)::text, e'\n'), 'none any more') from (
				select d.*, l.expires_at - now() as lease_left, l.holder
				from due d left join leases l on l.id = d.lease_id
				where d.scheduled_for <= $1 order by d.scheduled_for limit 10
			) as w`, upTo).Scan(&waiting))
		t.Errorf("runs due at %s are not executed %v later:\n%s", upTo.Format(time.RFC3339), settleWithin, waiting)
	}
	eventually(t, handOverWithin, func() bool {
		var living int
		err := s.db.QueryRow(t.Context(), "select count(*) from leases").Scan(&living)
		return err == nil && living <= len(s.instances)
	}, "the leases of dead instances are gone")
	for _, i := range s.instances {
		i.stop(t)
	}
	return upTo
}

// verify compares the tables with the grid of each job, and the logs with the tables, after settle.
// It returns the runs.
func (s *system) verify(t *testing.T) []run {
	t.Helper()
	s.verifyTables(t)
	rows, err := s.db.Query(t.Context(), "select job_id, scheduled_for, started_at, finished_at, status::text, attempt from runs")
	require.NoError(t, err)
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[run])
	require.NoError(t, err)

	problems, executed := s.compare(t, runs)
	t.Logf("%d runs, %d executions, %d faults", len(runs), executed, len(s.faults))
	if len(problems) > 0 {
		t.Errorf("%d runs were not executed as the table says, for example:\n%s", len(problems),
			strings.Join(problems[:min(len(problems), 10)], "\n"))
	}
	s.reportLateness(t)
	return runs
}

// verifyTables compares the tables with the grid of each job, after settle.
func (s *system) verifyTables(t *testing.T) {
	t.Helper()
	upTo := s.settle(t)
	for what, sql := range map[string]string{
		"occurrences have no run":           grid + "select count(*) from expected left join runs using (job_id, scheduled_for) where runs.job_id is null",
		"runs have no occurrence":           grid + "select count(*) from runs left join expected using (job_id, scheduled_for) where expected.job_id is null",
		"occurrences have two runs":         "select count(*) from (select from runs group by job_id, scheduled_for having count(*) > 1) as doubled",
		"jobs do not have one due row":      grid + "select count(*) from next where rows <> 1",
		"due rows are still leased":         "select count(*) from due where lease_id is not null",
		"runs did not succeed":              "select count(*) from runs where status <> 'SUCCEEDED' or reason is not null or occurrences <> 1",
		"runs started before they were due": "select count(*) from runs where started_at < scheduled_for",
		"leases outlived their instance":    "select count(*) from leases where expires_at > now()",
	} {
		var count int
		require.NoError(t, s.db.QueryRow(t.Context(), sql).Scan(&count), what)
		assert.Zero(t, count, what)
	}
	var behind int
	require.NoError(t, s.db.QueryRow(t.Context(), "select count(*) from due where scheduled_for <= $1", upTo).Scan(&behind))
	assert.Zero(t, behind, "schedules are behind")
}

// verifyRepeated is verify for a database that has forgotten what happened last: each occurrence
// has one run, and what was executed again has the same run id.
func (s *system) verifyRepeated(t *testing.T) {
	t.Helper()
	s.verifyTables(t)
	repeated, all := 0, s.executions(t)
	for o, executions := range all {
		if len(executions) > 1 {
			repeated++
		}
		for _, e := range executions {
			assert.Equal(t, executions[0].runID, e.runID, "job %s at %v", o.job, time.UnixMicro(o.at))
		}
	}
	assert.Positive(t, repeated, "some are executed again, or this tests nothing")
	t.Logf("%d of %d runs were executed again", repeated, len(all))
}

// compare finds the executions of each run in the logs. It returns what is wrong, and the number of
// executions.
func (s *system) compare(t *testing.T, runs []run) (problems []string, executed int) {
	t.Helper()
	all := s.executions(t)
	for _, r := range runs {
		if r.StartedAt == nil { // skipped, which verify has reported
			continue
		}
		o := occurrence{job: r.JobID, at: r.ScheduledFor.UnixMicro()}
		executions := all[o]
		delete(all, o)
		executed += len(executions)
		slices.SortFunc(executions, func(a, b execution) int { return cmp.Or(a.attempt-b.attempt, a.at.Compare(b.at)) })
		for n, e := range executions {
			switch {
			case e.attempt > r.Attempt:
				problems = append(problems, fmt.Sprintf("%v: attempt %d was executed by %s", r, e.attempt, e.by.name))
			case e.runID != executions[0].runID:
				problems = append(problems, fmt.Sprintf("%v: executed as %s and as %s", r, executions[0].runID, e.runID))
			case e.attempt < r.Attempt && !s.isVictim(e.by):
				problems = append(problems, fmt.Sprintf("%v: attempt %d was executed at %s by %s, which had no fault",
					r, e.attempt, e.at.Format(time.RFC3339Nano), e.by.name))
			case n == 0:
			case e.attempt == executions[n-1].attempt:
				problems = append(problems, fmt.Sprintf("%v: attempt %d was executed by %s and by %s",
					r, e.attempt, executions[n-1].by.name, e.by.name))
			case e.at.Before(executions[n-1].at):
				problems = append(problems, fmt.Sprintf("%v: attempt %d was executed by %s %v after attempt %d by %s",
					r, executions[n-1].attempt, executions[n-1].by.name, executions[n-1].at.Sub(e.at), e.attempt, e.by.name))
			}
		}
		if len(executions) == 0 || executions[len(executions)-1].attempt != r.Attempt {
			problems = append(problems, fmt.Sprintf("%v: its last attempt was not executed", r))
		}
		if r.Attempt > 1 && !s.explained(r) {
			problems = append(problems, fmt.Sprintf("%v: nothing explains a second attempt", r))
		}
	}
	for o, executions := range all {
		problems = append(problems, fmt.Sprintf("job %s at %s was executed by %s and has no run",
			o.job, time.UnixMicro(o.at).UTC().Format(time.RFC3339Nano), executions[0].by.name))
	}
	return problems, executed
}

const (
	// inFlight is how long a run may be in flight on a busy machine. Runs that began earlier than
	// that before a fault should be stored.
	inFlight = 3 * time.Second
	// ahead is how early a run may be claimed, with some tolerance.
	ahead = time.Second
)

// explained reports whether a run's first attempt was in flight during a fault.
func (s *system) explained(r run) bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool { return f.explains(r) })
}

func (f fault) explains(r run) bool {
	return r.StartedAt != nil && r.StartedAt.After(f.from.Add(-inFlight)) && r.StartedAt.Before(f.to.Add(ahead))
}

// isVictim reports whether a fault concerned an instance.
func (s *system) isVictim(i *instance) bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool { return f.victim == nil || f.victim == i })
}

// requireTakeovers requires that runs were taken over, and that each takeover was in time. Without
// one, the test has tested nothing.
func (s *system) requireTakeovers(t *testing.T, runs []run) {
	t.Helper()
	var takeovers int
	var slowest time.Duration
	for _, r := range runs {
		if r.Attempt <= 1 {
			continue
		}
		takeovers++
		// Each attempt except the last was lost, beginning with the earliest fault that explains
		// it.
		for _, f := range s.faults {
			if f.explains(r) {
				took := r.FinishedAt.Sub(f.to) / time.Duration(r.Attempt-1)
				slowest = max(slowest, took)
				assert.LessOrEqual(t, took, handOverWithin, "the run was taken over in time: %v, fault at %s", r, f.from.Format(time.RFC3339Nano))
				break
			}
		}
	}
	assert.Positive(t, takeovers, "runs were taken over, or this tests nothing")
	t.Logf("%d takeovers, the slowest after %v", takeovers, slowest.Round(time.Millisecond))
}

// reportLateness logs how late runs started. These tests have no limits for it.
func (s *system) reportLateness(t *testing.T) {
	t.Helper()
	var median, p99, latest float64
	require.NoError(t, s.db.QueryRow(t.Context(), `
		select percentile_cont(0.5) within group (order by late), percentile_cont(0.99) within group (order by late), max(late)
		from (select 1000 * extract(epoch from started_at - scheduled_for)::float8 as late from runs) as l`).
		Scan(&median, &p99, &latest))
	t.Logf("lateness in ms: median %.1f, p99 %.1f, max %.0f", median, p99, latest)
}
