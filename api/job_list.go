package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/jobs"
)

const (
	// maxTotal is up to where a list counts exactly. maxStateTotal is the same for filters of the
	// state of jobs, for which counting looks into the due rows of each job.
	maxTotal      = 10_000
	maxStateTotal = 1000
	// maxOffset is how many jobs a page may lie behind the first: paging costs more the deeper it
	// goes.
	maxOffset = maxTotal
)

// ListJobs reads a page of jobs, by number or by cursor.
func (s *handlers) ListJobs(ctx context.Context, r server.ListJobsRequestObject) (server.ListJobsResponseObject, error) {
	list, page, err := decodeList(r.Params)
	if err != nil {
		return nil, err
	}
	most := int64(maxTotal)
	if list.LastRunStatuses != nil || list.Health != nil {
		most = maxStateTotal
	}
	list.CountUpTo = int32(most + 1)
	found, err := s.Jobs.List(ctx, access.From(ctx), list)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	page.Total, page.TotalIsCapped = min(found.Total, most), found.Total > most
	if found.Next != nil {
		page.NextCursor = new(placeCursor(list.Sort, *found.Next))
	}
	page.Items = encodeAll(found.Jobs, encodeJob)
	return server.ListJobs200JSONResponse(page), nil
}

// decodeList returns which jobs a request lists, and the page they are put on.
func decodeList(p server.ListJobsParams) (list jobs.List, page server.JobPage, err error) {
	page.Limit = orDefault(p.Limit, defaultLimit)
	list = jobs.List{Sort: jobs.Sort(orDefault(p.Sort, server.JobSortCreatedAt)), Max: page.Limit}
	filter, wrong := decodeSelector(server.JobSelector{
		Name: p.Name, KeyPrefix: p.KeyPrefix, LabelSelector: p.LabelSelector, Status: p.Status, TargetType: p.TargetType,
		Queue: p.Queue, Connection: p.Connection, ConcurrencyGroup: p.ConcurrencyGroup, LastRunStatus: p.LastRunStatus, Health: p.Health, PauseId: p.PauseId,
	})
	if len(wrong) > 0 {
		return list, page, invalidQuery(wrong[0].Name, wrong[0].Code, wrong[0].Detail)
	}
	list.Filter = filter
	if p.Cursor != nil {
		if p.Page != nil {
			return list, page, invalidQuery("page", jobs.Conflicting, "cannot be given together with cursor")
		}
		place, err := parsePlace(list.Sort, *p.Cursor)
		if err != nil {
			return list, page, invalidCursor()
		}
		list.After = &place
		return list, page, nil
	}
	page.Page = new(orDefault(p.Page, 1))
	offset := (*page.Page - 1) * int64(page.Limit)
	if offset >= maxOffset {
		return list, page, invalidQuery("page", jobs.TooLarge,
			fmt.Sprintf("only the first %d jobs can be reached by page; use cursor", maxOffset))
	}
	list.Skip = int32(offset)
	return list, page, nil
}

// What a cursor of a list that is not sorted by createdAt begins with, before it is encoded. So no
// list takes the cursor of another one.
const (
	byName   = 'n' // the id and the name follow
	byNext   = 's' // a cursor follows, with when the job is due
	idleNext = 'i' // a cursor follows, with when the job was created
)

// placeCursor returns the cursor of a place in a list of jobs.
func placeCursor(sort jobs.Sort, p jobs.Place) string {
	at := cursor{at: p.At, id: p.ID}
	switch {
	case sort == jobs.SortByName:
		return encodeCursor(append(append([]byte{byName}, p.ID[:]...), p.Name...))
	case sort == jobs.SortByNextRunAt && p.IsIdle:
		return encodeCursor(append([]byte{idleNext}, at.bytes()...))
	case sort == jobs.SortByNextRunAt:
		return encodeCursor(append([]byte{byNext}, at.bytes()...))
	default:
		return at.String()
	}
}

// parsePlace returns the place that a cursor stands for in a list of jobs.
func parsePlace(sort jobs.Sort, text string) (p jobs.Place, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return p, errCursor
	}
	const idEnd = 1 + len(uuid.UUID{})
	kind, rest := raw[0], raw[1:]
	if sort == jobs.SortByName {
		if kind != byName || len(raw) < idEnd || !utf8.Valid(raw[idEnd:]) {
			return p, errCursor
		}
		return jobs.Place{ID: uuid.UUID(raw[1:idEnd]), Name: string(raw[idEnd:])}, nil
	}
	if sort == jobs.SortByCreatedAt {
		rest = raw
	} else if kind != byNext && kind != idleNext {
		return p, errCursor
	}
	at, err := cursorOf(rest)
	return jobs.Place{At: at.at, ID: at.id, IsIdle: sort == jobs.SortByNextRunAt && kind == idleNext}, err
}
