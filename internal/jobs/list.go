package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/database"
)

// Sort is the order of a list of jobs.
type Sort string

// The orders.
const (
	SortByCreatedAt Sort = "createdAt" // newest first
	SortByName      Sort = "name"      // from A to Z
	SortByNextRunAt Sort = "nextRunAt" // those that are due soonest first; then those without a next run, newest first
	sortByID        Sort = "id"
)

// List says which jobs to list.
type List struct {
	Filter
	// Sort is the order. Default: SortByCreatedAt.
	Sort Sort
	// After is the last job of the page before. Default: the list begins with the first job.
	After *Place
	// Skip is how many jobs to pass over. The cost of a list grows with it.
	Skip int32
	// Max is how many jobs to return at most.
	Max int32
	// CountUpTo is up to where to count the jobs that match. Default: they are not counted.
	CountUpTo int32
}

// Place is where in a list a job stands: what the list is sorted by, and the id.
type Place struct {
	// At is when the job was created or, in a list by nextRunAt, when it is due.
	At   time.Time
	Name string
	ID   uuid.UUID
	// IsIdle is whether the job has no next run, in a list by nextRunAt. At is when it was created.
	IsIdle bool
}

// Page is a page of a list of jobs.
type Page struct {
	Jobs []View
	// Next is the place of the last job, if there may be others after it.
	Next *Place
	// Total is how many jobs match, counted up to List.CountUpTo.
	Total int64
}

const (
	// maxListBytes bounds the payloads in a list, to within the payloads of firstRead jobs.
	maxListBytes = 8 << 20
	// firstRead is how many jobs are read before their size is known.
	firstRead = 8
)

// List returns a page of jobs. It returns fewer than l.Max if their payloads would have more than
// about 8 MiB, which bounds the memory that a list takes.
func (s *Service) List(ctx context.Context, by access.Caller, l List) (page Page, err error) {
	q := database.PlanEach(s.Pool)
	filter, err := narrow(ctx, q, by, &l.Filter)
	if err != nil {
		return page, err
	}
	if l.CountUpTo > 0 {
		if page.Total, err = countFound(ctx, q, filter, l.CountUpTo); err != nil {
			return page, err
		}
	}
	l.Max++ // one more tells whether there are others
	places, err := findPlaces(ctx, q, filter, &l)
	if err != nil {
		return page, err
	}
	isMore := len(places) == int(l.Max)
	if isMore {
		places = places[:l.Max-1]
	}
	size, read := 0, 0
	for read < len(places) && size < maxListBytes {
		next := firstRead
		if read > 0 { // as many as fit if they are like those that were read
			next = max(1, (maxListBytes-size)*read/max(size, 1))
		}
		next = min(next, len(places)-read)
		views, err := s.readAll(ctx, by, places[read:read+next])
		if err != nil {
			return page, err
		}
		for i := range views {
			size += len(views[i].Job.Payload)
		}
		page.Jobs, read = append(page.Jobs, views...), read+next
	}
	if read > 0 && (isMore || read < len(places)) {
		page.Next = &places[read-1]
	}
	return page, s.readEndsOf(ctx, page.Jobs)
}

// readAll reads the jobs at some places, in this order. Those that were deleted meanwhile are left
// out.
func (s *Service) readAll(ctx context.Context, by access.Caller, places []Place) ([]View, error) {
	ids := idsAt(places)
	rows, err := s.queries.ListFound(ctx, db.ListFoundParams{Namespace: by.Namespace, Ids: ids})
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	byID := make(map[uuid.UUID]*db.ListFoundRow, len(rows))
	for i := range rows {
		byID[rows[i].Job.ID] = &rows[i]
	}
	views := make([]View, 0, len(rows))
	for _, id := range ids {
		if row := byID[id]; row != nil {
			views = append(views, newView(db.GetJobRow(*row)))
		}
	}
	return views, nil
}

// findPlaces returns the places of the jobs of a list, at most l.Max.
func findPlaces(ctx context.Context, q *db.Queries, f filterParams, l *List) (places []Place, err error) {
	if l.Sort == SortByNextRunAt {
		places, err = findByNextRun(ctx, q, f, l)
	} else {
		places, err = findSorted(ctx, q, f, cmp.Or(l.Sort, SortByCreatedAt), l)
	}
	if err != nil {
		return nil, fmt.Errorf("find jobs: %w", err)
	}
	return places, nil
}

// findSorted returns the places of a list that one statement sorts.
func findSorted(ctx context.Context, q *db.Queries, f filterParams, sort Sort, l *List) ([]Place, error) {
	after := l.After
	if after == nil {
		after = &Place{}
		if sort == SortByCreatedAt {
			after.At = clock.EndOfTime
		}
	}
	rows, err := q.FindJobs(ctx, db.FindJobsParams{
		Namespace: f.Namespace, Ids: f.Ids, Keys: f.Keys, NamePattern: f.NamePattern, KeyPrefix: f.KeyPrefix,
		LabelNames: f.LabelNames, LabelPredicate: f.LabelPredicate, NeedsLabels: f.NeedsLabels, Statuses: f.Statuses,
		TargetType: f.TargetType, Queue: f.Queue, ConcurrencyGroup: f.ConcurrencyGroup, PauseID: f.PauseID,
		LastRunStatuses: f.LastRunStatuses, Healths: f.Healths,
		Sort: string(sort), AfterCreatedAt: after.At, AfterName: after.Name, AfterID: after.ID, SkipRows: l.Skip, MaxRows: l.Max,
	})
	places := make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{At: row.CreatedAt, Name: row.Name, ID: row.ID}
	}
	return places, err
}

// findByNextRun returns the places of a list by nextRunAt: those of the rows of due that carry a
// schedule, and then those of the jobs that are not active, which have no such row.
func findByNextRun(ctx context.Context, q *db.Queries, f filterParams, l *List) (places []Place, err error) {
	wanted := int(l.Skip + l.Max)
	if l.After == nil || !l.After.IsIdle {
		if places, err = findSoonest(ctx, q, f, l, wanted); err != nil {
			return nil, err
		}
	}
	if len(places) < wanted {
		idle, err := findIdle(ctx, q, f, l, wanted-len(places))
		if err != nil {
			return nil, err
		}
		places = append(places, idle...)
	}
	return places[min(int(l.Skip), len(places)):], nil
}

func findSoonest(ctx context.Context, q *db.Queries, f filterParams, l *List, wanted int) ([]Place, error) {
	after := Place{At: time.Unix(0, 0)} // nothing is due before 1970
	if l.After != nil {
		after = *l.After
	}
	few, err := findSorted(ctx, q, f, sortByID, &List{Max: maxSorted + 1})
	if err != nil {
		return nil, err
	}
	if len(few) <= maxSorted {
		return sortBySoonest(ctx, q, few, after, wanted)
	}
	rows, err := q.FindSoonest(ctx, db.FindSoonestParams{
		Namespace: f.Namespace, Ids: f.Ids, Keys: f.Keys, NamePattern: f.NamePattern, KeyPrefix: f.KeyPrefix,
		LabelNames: f.LabelNames, LabelPredicate: f.LabelPredicate, NeedsLabels: f.NeedsLabels, Statuses: f.Statuses,
		TargetType: f.TargetType, Queue: f.Queue, ConcurrencyGroup: f.ConcurrencyGroup, PauseID: f.PauseID,
		LastRunStatuses: f.LastRunStatuses, Healths: f.Healths,
		FirstQueue: access.Qualified(f.Namespace, ""), LastQueue: access.QueuesEnd(f.Namespace),
		AfterReadyAt: after.At, AfterID: after.ID, MaxRows: int32(wanted),
	})
	places := make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{At: row.ReadyAt, ID: row.JobID}
	}
	return places, err
}

// maxSorted is how many jobs are sorted by when they are due. More are so frequent that a walk
// through what is due finds enough of them soon.
const maxSorted = 2000

func sortBySoonest(ctx context.Context, q *db.Queries, few []Place, after Place, wanted int) ([]Place, error) {
	rows, err := q.SortBySoonest(ctx, db.SortBySoonestParams{
		Ids: idsAt(few), AfterReadyAt: after.At, AfterID: after.ID, MaxRows: int32(wanted),
	})
	places := make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{At: row.ReadyAt, ID: row.JobID}
	}
	return places, err
}

func findIdle(ctx context.Context, q *db.Queries, f filterParams, l *List, wanted int) ([]Place, error) {
	idle := []db.JobStatus{db.JobStatusPAUSED, db.JobStatusCOMPLETED}
	if len(l.Statuses) > 0 {
		idle = slices.DeleteFunc(idle, func(status db.JobStatus) bool { return !slices.Contains(l.Statuses, status) })
	}
	if len(idle) == 0 {
		return nil, nil
	}
	f.Statuses = arrayOf(idle)
	of := &List{Max: int32(wanted)}
	if l.After != nil && l.After.IsIdle {
		of.After = l.After
	}
	places, err := findSorted(ctx, q, f, SortByCreatedAt, of)
	for i := range places {
		places[i].IsIdle = true
	}
	return places, err
}

// idsAt returns the ids of the jobs at some places.
func idsAt(places []Place) []uuid.UUID {
	ids := make([]uuid.UUID, len(places))
	for i := range places {
		ids[i] = places[i].ID
	}
	return ids
}
