package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
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
	// CountUpTo is up to where to count the jobs that match, at most maxCounted+1. Default: they
	// are not counted.
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
	l.Max++ // one more tells whether there are others
	places, matching, err := s.search(by).find(ctx, &l)
	if err != nil {
		return page, err
	}
	page.Total = min(matching, int64(l.CountUpTo))
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

// idsAt returns the ids of the jobs at some places.
func idsAt(places []Place) []uuid.UUID {
	ids := make([]uuid.UUID, len(places))
	for i := range places {
		ids[i] = places[i].ID
	}
	return ids
}
