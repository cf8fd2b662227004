package jobs

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/durations"
	"punctual/internal/policy"
)

// Problem is why a job needs attention, as openapi.yaml defines it.
type Problem string

// The problems, in the order of Attention.
const (
	ProblemFailing         Problem = "FAILING"
	ProblemOverdue         Problem = "OVERDUE"
	ProblemLate            Problem = "LATE"
	ProblemPausedByService Problem = "PAUSED_BY_SERVICE"
)

const (
	// MaxTroubled is up to where the jobs with a problem, and the runs of a queue, are counted.
	MaxTroubled = 500
	// minDescribed is how many jobs with a problem are looked at, if there are so many, to find
	// those that have it since a short time.
	minDescribed = 200
	// fewInNamespace is up to how many jobs of a namespace are looked at one by one: an index of
	// what is due has those of all namespaces.
	fewInNamespace = 500
	// unattendedAfter is how long a run waits before its queue counts as one that nobody serves.
	unattendedAfter = time.Minute
)

// Attention is what needs attention in a namespace.
type Attention struct {
	// Jobs are the jobs with each problem.
	Jobs []Troubled
	// Queues are those that nobody serves, those that wait the longest first.
	Queues []db.ListUnattendedRow
	// Connections are those that are down, the latest first.
	Connections []db.ListDownConnectionsRow
}

// Troubled are the jobs that have a problem.
type Troubled struct {
	Problem Problem
	// Count is how many there are, up to MaxTroubled + 1.
	Count int32
	Jobs  []Trouble
}

// Trouble is a job with a problem.
type Trouble struct {
	// View has only what names the job, its last run and how many runs failed in a row.
	View
	Since time.Time
	// Reason says why, for people.
	Reason string

	row *db.ListTroubledRow
}

// Attention returns what needs attention in the caller's namespace: of each problem at most so many
// jobs, those that have it since a short time first, and as many queues and connections.
func (s *Service) Attention(ctx context.Context, by access.Caller, limit int32) (a Attention, err error) {
	search := s.search(by)
	first, last := access.Qualified(by.Namespace, ""), access.QueuesEnd(by.Namespace)
	a.Queues, err = search.q.ListUnattended(ctx, db.ListUnattendedParams{
		FirstQueue: first, LastQueue: last, Waited: unattendedAfter, MaxCount: MaxTroubled + 1, MaxRows: limit,
	})
	if err != nil {
		return a, fmt.Errorf("list the queues that nobody serves: %w", err)
	}
	a.Connections, err = search.q.ListDownConnections(ctx, db.ListDownConnectionsParams{Namespace: by.Namespace, MaxRows: limit})
	if err != nil {
		return a, fmt.Errorf("list the connections that are down: %w", err)
	}
	if a.Jobs, err = search.troubled(ctx, limit); err != nil {
		return a, err
	}
	var views []*View
	for _, of := range a.Jobs {
		if of.Problem == ProblemFailing {
			if err := s.readFailingSince(ctx, by, of.Jobs); err != nil {
				return a, err
			}
		}
		for i := range of.Jobs {
			views = append(views, &of.Jobs[i].View)
		}
	}
	if err := s.readEnds(ctx, views...); err != nil {
		return a, err
	}
	isUnattended := make(map[string]bool, len(a.Queues))
	for _, queue := range a.Queues {
		isUnattended[queue.Queue] = true
	}
	for _, of := range a.Jobs {
		for i := range of.Jobs {
			of.Jobs[i].Reason = of.Jobs[i].why(of.Problem, isUnattended)
		}
	}
	return a, nil
}

// readFailingSince sets since when jobs are failing: the instant of the first of the runs that
// failed in a row, as far back as their latest runs tell.
func (s *Service) readFailingSince(ctx context.Context, by access.Caller, failing []Trouble) error {
	if len(failing) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(failing))
	for i := range failing {
		ids[i] = failing[i].Job.ID
	}
	runs, err := s.RecentRuns(ctx, by, ids, MaxRecent)
	if err != nil {
		return err
	}
	for i := range failing {
		left := failing[i].ConsecutiveFailures
		for _, run := range runs[ids[i]] {
			if left > 0 && run.Status == string(db.RunStatusFAILED) {
				failing[i].Since, left = run.ScheduledFor, left-1
			}
		}
	}
	return nil
}

// troubled returns the jobs with each problem.
func (s *search) troubled(ctx context.Context, limit int32) ([]Troubled, error) {
	all := []Troubled{{Problem: ProblemFailing}, {Problem: ProblemOverdue}, {Problem: ProblemLate}, {Problem: ProblemPausedByService}}
	few, err := s.q.FewJobs(ctx, db.FewJobsParams{Namespace: s.namespace, MaxRows: fewInNamespace + 1})
	if err != nil {
		return nil, fmt.Errorf("read the jobs of a namespace, if they are few: %w", err)
	}
	for i := range all {
		of := &all[i]
		ids, err := s.suspects(ctx, of.Problem, few)
		if err != nil {
			return nil, fmt.Errorf("look for the jobs with a problem: %w", err)
		}
		if len(ids) == 0 {
			continue
		}
		if len(few) > fewInNamespace && len(ids) > max(minDescribed, int(limit)) {
			of.Count, ids = int32(len(ids)), ids[:max(minDescribed, limit)]
		}
		rows, err := s.q.ListTroubled(ctx, db.ListTroubledParams{
			Namespace: s.namespace, Ids: ids, Problem: string(of.Problem), MaxRows: limit,
		})
		if err != nil {
			return nil, fmt.Errorf("read the jobs with a problem: %w", err)
		}
		of.Jobs = make([]Trouble, len(rows))
		for i := range rows {
			of.Jobs[i], of.Count = newTrouble(&rows[i]), max(of.Count, min(rows[i].Troubled, MaxTroubled+1))
		}
	}
	return all, nil
}

// suspects returns jobs that may have a problem: all of them, or some more than are counted. Few
// are the jobs of the namespace, or more than fewInNamespace of them.
func (s *search) suspects(ctx context.Context, problem Problem, few []uuid.UUID) ([]uuid.UUID, error) {
	const most = MaxTroubled + 1
	switch problem {
	case ProblemOverdue:
		return s.q.ListOverdueJobs(ctx, db.ListOverdueJobsParams{Namespace: s.namespace, MaxRows: most})
	case ProblemPausedByService:
		return s.q.ListPausedByService(ctx, db.ListPausedByServiceParams{Namespace: s.namespace, MaxRows: most})
	case ProblemFailing, ProblemLate:
	}
	if len(few) <= fewInNamespace {
		return few, nil
	}
	found, err := s.candidatesFor(ctx, Health(problem), MaxTroubled)
	return found.ids, err
}

func newTrouble(row *db.ListTroubledRow) Trouble {
	known := db.GetJobRow{
		Job: Definition{
			ID: row.ID, Key: row.Key, Name: row.Name, Labels: row.Labels,
			LastRunFor: row.LastRunFor, LastRunStatus: row.LastRunStatus, Failures: row.Failures,
		},
		DueLastRunFor: row.DueLastRunFor, DueLastRunStatus: row.DueLastRunStatus, DueFailures: row.DueFailures,
	}
	t := Trouble{View: View{Job: known.Job}, Since: row.Since, row: row}
	t.setLastRun(&known)
	return t
}

// why says why a job has a problem.
func (t *Trouble) why(problem Problem, isUnattended map[string]bool) string {
	switch problem {
	case ProblemLate:
		return t.whyLate(isUnattended)
	case ProblemOverdue:
		within := "time"
		if seconds := t.row.ExpectSuccessWithinSeconds; seconds != nil {
			within = durations.Interval(time.Duration(*seconds) * time.Second)
		}
		return join("no success within "+within, t.lastError())
	case ProblemPausedByService:
		reason, last := orEmpty(t.row.StatusReason), t.lastError()
		if strings.Contains(reason, last) {
			return reason
		}
		return join(reason, last)
	default: // ProblemFailing
		return cmp.Or(t.lastError(), policy.FailedInARow(int(t.ConsecutiveFailures)))
	}
}

// lastError says how the last run ended, if that is known and was no success.
func (t *Trouble) lastError() string {
	last := t.LastRun
	switch {
	case last == nil || last.Status == db.RunStatusSUCCEEDED:
		return ""
	case last.Error != nil:
		return *last.Error
	case last.Reason != nil:
		return fmt.Sprintf("the last run was %s: %s", strings.ToLower(string(last.Status)), *last.Reason)
	default: // it is not kept
		return ""
	}
}

// whyLate says what a run waits for that is late.
func (t *Trouble) whyLate(isUnattended map[string]bool) string {
	queue, group := orEmpty(t.row.Queue), orEmpty(t.row.ConcurrencyGroup)
	switch {
	case isUnattended[queue]:
		return "no worker asks for the queue " + access.Unqualified(queue)
	case queue != "" && !access.IsLimited(queue):
		return "the run waits for a worker of the queue " + access.Unqualified(queue)
	case group != "":
		return "the run waits for its concurrency group " + access.GroupOf(group)
	default:
		return "no instance has claimed the run"
	}
}

// join returns two texts, of which the second may be missing.
func join(text, more string) string {
	if more == "" {
		return text
	}
	return text + ": " + more
}
