package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/instant"
	"punctual/internal/jobs"
)

// ListJobVersions reads a page of the versions of a job.
func (s *handlers) ListJobVersions(
	ctx context.Context, r server.ListJobVersionsRequestObject,
) (server.ListJobVersionsResponseObject, error) {
	after, err := decodeCursor(r.Params.Cursor, cursor{at: clock.EndOfTime})
	if err != nil {
		return nil, err
	}
	newest := int32(min(max(after.at.UnixMicro()-1, 0), math.MaxInt32)) // the instant stands for a number
	page := server.JobVersionPage{Limit: orDefault(r.Params.Limit, defaultLimit)}
	versions, more, err := s.Jobs.Versions(ctx, access.From(ctx), r.Id, newest, page.Limit)
	if err != nil {
		return nil, fmt.Errorf("list a job's versions: %w", err)
	}
	if page.Items, err = encodeEach(versions, encodeVersion); err != nil {
		return nil, err
	}
	if more {
		last := versions[len(versions)-1].Job.Version
		page.NextCursor = new(cursor{at: time.UnixMicro(int64(last))}.String())
	}
	return server.ListJobVersions200JSONResponse(page), nil
}

// GetJobVersion reads one version of a job.
func (s *handlers) GetJobVersion(
	ctx context.Context, r server.GetJobVersionRequestObject,
) (server.GetJobVersionResponseObject, error) {
	version, err := s.Jobs.Version(ctx, access.From(ctx), r.Id, r.Version)
	if err != nil {
		return nil, fmt.Errorf("get a job's version: %w", err)
	}
	out, err := encodeVersion(version)
	return server.GetJobVersion200JSONResponse(out), err
}

func encodeVersion(v jobs.Version) (server.JobVersion, error) {
	out := server.JobVersion{
		Version: v.Job.Version, UpdatedAt: instant.Time{Time: v.Job.UpdatedAt}, UpdatedBy: v.Job.UpdatedBy, Job: encodeJob(v.View),
	}
	if v.Before == nil {
		return out, nil
	}
	changes, err := changesBetween(*v.Before, v.View)
	out.Changes = &changes
	return out, err
}

// ofNoDefinition are the fields of the contract's Job that no request changes as such.
var ofNoDefinition = []string{
	"version", "updatedAt", "updatedBy", "runCount", "lastRunAt", "nextRunAt", "lastRun", "consecutiveFailures", "isRunning", "health",
	"failingSince", "overdueSince",
}

// changesBetween returns the fields in which two versions of a job differ, in the order of their
// names. It compares what the API answers, so a new field needs nothing here.
func changesBetween(before, after jobs.View) ([]server.FieldChange, error) {
	from, err := fieldsOf(before)
	if err != nil {
		return nil, err
	}
	to, err := fieldsOf(after)
	if err != nil {
		return nil, err
	}
	changes := []server.FieldChange{}
	for name := range to {
		isOther := !bytes.Equal(from[name], to[name])
		if name == "targetSecrets" { // the names may be the same, and the values not
			isOther = !reflect.DeepEqual(before.Job.SecretsVersion, after.Job.SecretsVersion)
		}
		if isOther && !slices.Contains(ofNoDefinition, name) {
			changes = append(changes, server.FieldChange{Field: name, From: from[name], To: to[name]})
		}
	}
	slices.SortFunc(changes, func(a, b server.FieldChange) int { return strings.Compare(a.Field, b.Field) })
	return changes, nil
}

// fieldsOf returns the fields of a job as the API answers them.
func fieldsOf(view jobs.View) (fields map[string]json.RawMessage, err error) {
	raw, err := json.Marshal(encodeJob(view))
	if err != nil {
		return nil, fmt.Errorf("encode a version: %w", err)
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("decode a version: %w", err)
	}
	return fields, nil
}

// etag names a version of a job.
func etag(version int32) string { return strconv.Quote(strconv.Itoa(int(version))) }

var entityTag = regexp.MustCompile(`(W/)?"[^"]*"`)

// versionsIn returns the versions that an If-Match names, or none if it allows any. 0 is no job's
// version: it stands for a tag that no job has. A weak tag never matches (RFC 9110, section
// 13.1.1).
func versionsIn(ifMatch *server.IfMatch) (versions []int32) {
	if ifMatch == nil || *ifMatch == "*" {
		return nil
	}
	for _, tag := range entityTag.FindAllString(*ifMatch, -1) {
		version, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 32)
		if err != nil || etag(int32(version)) != tag {
			version = 0
		}
		versions = append(versions, int32(version))
	}
	return versions
}
