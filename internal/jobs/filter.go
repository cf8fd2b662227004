package jobs

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
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
	// TargetType, Queue, Connection and ConcurrencyGroup are as in the contract, not qualified.
	TargetType, Queue, Connection, ConcurrencyGroup string
	LastRunStatuses                                 []db.RunStatus
	Health                                          []Health
	// PauseID is the id of the bulk change that has paused the jobs.
	PauseID *uuid.UUID
}

// filterParams are the parameters of the template matches. Those of the statements that use it have
// them, under the same names. The others say what to do with the jobs that match.
type filterParams = db.MatchJobsParams

// params returns the filter as matches takes it. A field that is empty is null there.
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
	if f.Connection != "" { // its runs have a queue, too
		p.Queue = new(access.QualifiedConnection(namespace, f.Connection))
	}
	if f.ConcurrencyGroup != "" {
		p.ConcurrencyGroup = new(access.QualifiedGroup(namespace, f.ConcurrencyGroup))
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
func arrayOf[T ~string](values []T) *string {
	if len(values) == 0 {
		return nil
	}
	return new("{" + strings.Join(texts(values), ",") + "}")
}

// isAll reports whether all jobs match.
func (f *Filter) isAll() bool { return reflect.ValueOf(*f).IsZero() }

// isOfState reports whether the filter says something of the last run or of health.
func (f *Filter) isOfState() bool { return len(f.LastRunStatuses)+len(f.Health) > 0 }

func isOfState(p *filterParams) bool { return p.LastRunStatuses != nil || p.Healths != nil }

// isOfLastRuns reports whether what a filter says of the state of jobs is just that the last run
// ended in certain ways, or that they are failing.
func (f *Filter) isOfLastRuns() bool {
	if len(f.Health) > 0 {
		return len(f.LastRunStatuses) == 0 && len(f.Health) == 1 && f.Health[0] == HealthFailing
	}
	return len(f.LastRunStatuses) > 0
}

// statusesOf are the statuses that a job of some health has (healthOf).
var statusesOf = map[Health][]db.JobStatus{
	HealthPaused:    {db.JobStatusPAUSED},
	HealthFailing:   {db.JobStatusACTIVE, db.JobStatusCOMPLETED},
	HealthLate:      {db.JobStatusACTIVE, db.JobStatusCOMPLETED},
	HealthCompleted: {db.JobStatusCOMPLETED},
	HealthNeverRan:  {db.JobStatusACTIVE},
	HealthOK:        {db.JobStatusACTIVE},
}

// implied returns the filter with the statuses that follow from health, for which there is an
// index. It reports whether there is any. Health is left out if it follows from them.
func (f Filter) implied() (Filter, bool) {
	if len(f.Health) == 0 {
		return f, true
	}
	statuses := make([]db.JobStatus, 0, len(allStatuses))
	for _, status := range allStatuses {
		if (len(f.Statuses) == 0 || slices.Contains(f.Statuses, status)) &&
			slices.ContainsFunc(f.Health, func(health Health) bool { return slices.Contains(statusesOf[health], status) }) {
			statuses = append(statuses, status)
		}
	}
	f.Statuses = statuses
	if slices.Equal(statuses, statusesOf[HealthPaused]) { // which no other health has
		f.Health = nil
	}
	return f, len(statuses) > 0
}

// allStatuses are the statuses that a job can have.
var allStatuses = []db.JobStatus{db.JobStatusACTIVE, db.JobStatusPAUSED, db.JobStatusCOMPLETED}

// Select returns the ids of jobs that match a filter, in their order, after a place: at most so
// many.
func (s *Service) Select(ctx context.Context, by access.Caller, f Filter, after uuid.UUID, limit int32) ([]uuid.UUID, error) {
	places, _, err := s.search(by).find(ctx, &List{Filter: f, Sort: sortByID, After: &Place{ID: after}, Max: limit})
	return idsAt(places), err
}
