package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/labels"
)

// Health says how a job is, as JobHealth in openapi.yaml defines it.
type Health string

// The states of health.
const (
	HealthOK        Health = "OK"
	HealthFailing   Health = "FAILING"
	HealthLate      Health = "LATE"
	HealthPaused    Health = "PAUSED"
	HealthCompleted Health = "COMPLETED"
	HealthNeverRan  Health = "NEVER_RAN"
)

// Filter says which jobs of a namespace are meant: those that match all of its fields that are not
// empty. The zero Filter means all jobs.
type Filter struct {
	IDs  []uuid.UUID
	Keys []string
	// Name is a part of the name, in any case.
	Name      string
	KeyPrefix string
	Labels    labels.Selector
	Statuses  []db.JobStatus
	// TargetType, Queue and ConcurrencyGroup are as in the contract, not qualified.
	TargetType, Queue, ConcurrencyGroup string
	LastRunStatuses                     []db.RunStatus
	Health                              []Health
	// PauseID is the id of the bulk change that has paused the jobs.
	PauseID *uuid.UUID
}

// filterParams are the arguments of the function find_jobs. The parameters of the statements that
// call it have them, under the same names.
type filterParams = db.CountFoundParams

// params returns the filter as find_jobs takes it. A field that is empty is null there.
func (f *Filter) params(namespace string) filterParams {
	p := filterParams{
		Namespace: namespace, Ids: f.IDs, Keys: f.Keys, KeyPrefix: nonEmpty(f.KeyPrefix), NeedsLabels: f.Labels.NeedsLabels(),
		LabelNames: f.Labels.Names(), LabelPredicate: nonEmpty(f.Labels.Predicate()), Statuses: arrayOf(f.Statuses),
		TargetType: nonEmpty(f.TargetType), PauseID: f.PauseID, LastRunStatuses: texts(f.LastRunStatuses), Healths: texts(f.Health),
	}
	if f.Name != "" {
		p.NamePattern = new("%" + likeEscapes.Replace(f.Name) + "%")
	}
	if f.Queue != "" {
		p.Queue = new(access.Qualified(namespace, f.Queue))
	}
	if f.ConcurrencyGroup != "" {
		p.ConcurrencyGroup = new(access.Qualified(namespace, f.ConcurrencyGroup))
	}
	return p
}

// stillMatches reports whether a job that the filter has found matches what it says of labels, the
// status, the target, the concurrency group and the pause, as the job is now. It does not look
// again at the name, which PostgreSQL compares in a way of its own, nor at the last run and the
// health, which change without anybody's doing.
func (f *Filter) stillMatches(job *Definition) bool {
	p := f.params(job.Namespace)
	var target struct{ Type string }
	_ = json.Unmarshal(job.Target, &target) // it satisfies the contract
	return f.Labels.Matches(job.Labels) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, job.Status)) &&
		(f.TargetType == "" || target.Type == f.TargetType) &&
		(p.Queue == nil || orEmpty(job.QualifiedQueue) == *p.Queue) &&
		(p.ConcurrencyGroup == nil || orEmpty(job.QualifiedGroup) == *p.ConcurrencyGroup) &&
		(f.PauseID == nil || job.PauseID != nil && *job.PauseID == *f.PauseID)
}

// likeEscapes makes a text stand for itself in a pattern of PostgreSQL.
var likeEscapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

func nonEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// texts returns values of an enum as texts, or nil if there are none.
func texts[T ~string](values []T) (all []string) {
	for _, value := range values {
		all = append(all, string(value))
	}
	return all
}

// arrayOf returns values of an enum as PostgreSQL writes an array of them, or nil if there are
// none.
func arrayOf(values []db.JobStatus) *string {
	if len(values) == 0 {
		return nil
	}
	return new("{" + strings.Join(texts(values), ",") + "}")
}

// maxCandidates bounds the jobs that a small index names for a filter. If there are more, they are
// so frequent that a walk through the list finds enough of them soon.
const maxCandidates = 10_000

// narrow returns the parameters of a filter with the jobs that can match it, if these are few: what
// the last run of a job was, and whether it is late, stands in its due rows, so the indexes of jobs
// do not lead there.
func narrow(ctx context.Context, q *db.Queries, by access.Caller, f *Filter) (filterParams, error) {
	p := f.params(by.Namespace)
	if len(p.Ids) > 0 || len(p.Keys) > 0 {
		return p, nil
	}
	candidates, areKnown, err := candidatesOf(ctx, q, by.Namespace, f)
	if err != nil {
		return p, fmt.Errorf("look for the jobs in a state: %w", err)
	}
	if areKnown {
		p.Ids = candidates // not nil, which would be all jobs
		if f.isOfLastRuns() {
			p.LastRunStatuses, p.Healths = nil, nil // just these jobs have it
		}
	}
	return p, nil
}

// isOfLastRuns reports whether what a filter says of the state of jobs is just that the last run
// ended in certain ways, or that they are failing.
func (f *Filter) isOfLastRuns() bool {
	if len(f.Health) > 0 {
		return len(f.LastRunStatuses) == 0 && len(f.Health) == 1 && f.Health[0] == HealthFailing
	}
	return len(f.LastRunStatuses) > 0
}

// candidatesOf returns all jobs that can be as a filter says of the last run and of health, and
// some others. It reports whether they are known.
func candidatesOf(ctx context.Context, q *db.Queries, namespace string, f *Filter) (ids []uuid.UUID, areKnown bool, err error) {
	if len(f.LastRunStatuses) > 0 && !slices.Contains(f.LastRunStatuses, db.RunStatusSUCCEEDED) {
		return bounded(q.ListNotSucceeded(ctx, db.ListNotSucceededParams{
			Namespace: namespace, Statuses: texts(f.LastRunStatuses), MaxRows: maxCandidates + 1,
		}))
	}
	all := []uuid.UUID{}
	for _, health := range f.Health {
		var some []uuid.UUID
		switch health {
		case HealthFailing:
			some, areKnown, err = bounded(q.ListNotSucceeded(ctx, db.ListNotSucceededParams{
				Namespace: namespace, IsFailing: true, MaxRows: maxCandidates + 1,
			}))
		case HealthLate:
			some, areKnown, err = bounded(q.ListLate(ctx, db.ListLateParams{
				Namespace: namespace, FirstQueue: access.Qualified(namespace, ""), LastQueue: access.QueuesEnd(namespace), MaxRows: maxCandidates + 1,
			}))
		case HealthNeverRan:
			some, areKnown, err = bounded(q.ListNeverRan(ctx, db.ListNeverRanParams{Namespace: namespace, MaxRows: maxCandidates + 1}))
		case HealthPaused:
			some, areKnown, err = bounded(q.ListPaused(ctx, db.ListPausedParams{Namespace: namespace, MaxRows: maxCandidates + 1}))
		case HealthOK, HealthCompleted:
			areKnown = false
		}
		if err != nil || !areKnown {
			return nil, false, err
		}
		all = append(all, some...)
	}
	return all, len(f.Health) > 0, nil
}

// bounded reports whether a statement has returned all it could.
func bounded(ids []uuid.UUID, err error) ([]uuid.UUID, bool, error) {
	if ids == nil {
		ids = []uuid.UUID{}
	}
	return ids, len(ids) <= maxCandidates, err
}

// Select returns the ids of jobs that match a filter, in their order, after a place: at most so
// many.
func (s *Service) Select(ctx context.Context, by access.Caller, f Filter, after uuid.UUID, limit int32) ([]uuid.UUID, error) {
	q := database.PlanEach(s.Pool)
	p, err := narrow(ctx, q, by, &f)
	if err != nil {
		return nil, err
	}
	found, err := findPlaces(ctx, q, p, &List{Sort: sortByID, After: &Place{ID: after}, Max: limit})
	if err != nil {
		return nil, err
	}
	return idsAt(found), nil
}

// countFound counts the jobs that match, up to a number.
func countFound(ctx context.Context, q *db.Queries, p filterParams, upTo int32) (int64, error) {
	p.MaxCount = upTo
	n, err := q.CountFound(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("count jobs: %w", err)
	}
	return n, nil
}
