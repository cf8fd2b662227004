package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
)

// Version is a version of a job.
type Version struct {
	// View is the job as it was after the request that made the version, without its secrets. What
	// belongs to no version, such as RunCount, is as it is now.
	View
	// Before is the version before, as it was when this one replaced it. Nil: there is none, or it
	// is not kept.
	Before *View
}

// maxVersionBytes bounds the definitions in a list of versions, to within the size of one.
const maxVersionBytes = 8 << 20

// Versions returns the versions of a job from one number on, newest first, and whether there are
// more. It returns fewer than limit if their definitions would have more than about 8 MiB. It
// returns ErrNotFound if there is no such job.
func (s *Service) Versions(
	ctx context.Context, by access.Caller, id uuid.UUID, newest, limit int32,
) (versions []Version, more bool, err error) {
	now, err := s.Get(ctx, by, id)
	if err != nil {
		return nil, false, err
	}
	now.Job.SealedSecrets, now.Job.SecretsKeyID = nil, nil
	newest = min(newest, now.Job.Version)
	// The version before the last one tells what that changed.
	rows, err := s.queries.ListJobVersions(ctx, db.ListJobVersionsParams{
		JobID: id, Before: min(newest, now.Job.Version-1) + 1, MaxRows: limit + 1, MaxBytes: maxVersionBytes,
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the versions of the job: %w", err)
	}
	var all []View // as they were when the next one replaced them
	if newest == now.Job.Version {
		all = append(all, now)
	}
	for i := range rows {
		view := now
		if view.Job, err = s.definitionOf(rows[i].Definition); err != nil {
			return nil, false, err
		}
		all = append(all, view)
	}
	first := len(all) - len(rows) // of the rows
	for i := range all {
		version := Version{View: all[i]}
		switch {
		case i+1 < len(all):
			version.Before = &all[i+1]
			before := &rows[i+1-first]
			version.Job.Status, version.Job.StatusReason = before.NextStatus, before.NextStatusReason
		case version.Job.Version == 1:
			version.Job.Status, version.Job.StatusReason = db.JobStatusACTIVE, nil
		}
		versions = append(versions, version)
	}
	isCut := len(rows) > 0 && int64(len(rows)) < rows[0].Rows
	if isCut || len(versions) > int(limit) {
		return versions[:min(len(versions)-1, int(limit))], true, nil
	}
	return versions, false, nil
}

// Version returns a version of a job, ErrNotFound, or ErrVersionNotFound.
func (s *Service) Version(ctx context.Context, by access.Caller, id uuid.UUID, version int32) (Version, error) {
	found, _, err := s.Versions(ctx, by, id, version, 1)
	if err != nil {
		return Version{}, err
	}
	if len(found) == 0 || found[0].Job.Version != version {
		return Version{}, ErrVersionNotFound
	}
	return found[0], nil
}

// notKept are the columns that no version keeps: sealed secrets, and what would tell of them.
var notKept = []string{"sealed_secrets", "secrets_key_id", "secrets_digest"}

// timeOfImage is the form of instants in images, as PostgreSQL has it.
const timeOfImage = "2006-01-02T15:04:05.999999-07:00"

// imageOf encodes a job as its versions keep it: one member for each column. What is JSON, such as
// the payload, keeps its bytes. Instants are in UTC: in another zone those of long ago have offsets
// with seconds, which RFC 3339 does not know.
func imageOf(job *Definition) (image []byte, err error) {
	for field, at := range reflect.ValueOf(job).Elem().Fields() {
		column := field.Tag.Get("json")
		if slices.Contains(notKept, column) {
			continue
		}
		raw, value := []byte("null"), at.Interface()
		switch v := value.(type) {
		case []byte:
			if v != nil {
				raw = v
			}
		case time.Time:
			raw = fmt.Appendf(nil, "%q", v.UTC().Format(timeOfImage))
		case *time.Time:
			if v != nil {
				raw = fmt.Appendf(nil, "%q", v.UTC().Format(timeOfImage))
			}
		default:
			raw, err = json.Marshal(v)
		}
		if err != nil {
			return nil, fmt.Errorf("encode %s of a version of a job: %w", field.Name, err)
		}
		image = fmt.Appendf(image, ",%q:%s", column, raw)
	}
	image[0] = '{'
	return append(image, '}'), nil
}

// definitionOf decodes an image of a job, as imageOf makes it. An
// image may be older than a column. Then the field has the default of the contract, which existing
// jobs got when the column was added.
func (s *Service) definitionOf(image []byte) (job Definition, err error) {
	var columns map[string]json.RawMessage
	if err := json.Unmarshal(image, &columns); err != nil {
		return job, fmt.Errorf("decode a version of a job: %w", err)
	}
	for _, column := range notKept {
		delete(columns, column)
	}
	s.Contract.Defaults.applyTo(&job)
	for field, at := range reflect.ValueOf(&job).Elem().Fields() {
		raw, ok := columns[field.Tag.Get("json")]
		if !ok {
			continue
		}
		if at.Type() == reflect.TypeFor[[]byte]() { // JSON, which keeps its bytes
			if at.SetBytes(raw); string(raw) == "null" && field.Name != "Payload" {
				at.SetZero() // a payload may be null, and no other column has that as a value
			}
			continue
		}
		at.SetZero()
		if err := json.Unmarshal(raw, at.Addr().Interface()); err != nil {
			return job, fmt.Errorf("decode %s of a version of a job: %w", field.Name, err)
		}
	}
	return job, nil
}

// checkVersion returns a VersionChanged if versions are given and the job has none of them.
func (e *edit) checkVersion(only []int32) error {
	if len(only) > 0 && !slices.Contains(only, e.job.Version) {
		return &VersionChanged{e.job.Version}
	}
	return nil
}

// storeVersion stores a job that a request has changed, as another version of it.
func (s *Service) storeVersion(ctx context.Context, e *edit, after *Definition, does effect) error {
	if does == 0 {
		return nil
	}
	after.Version++
	after.UpdatedBy, after.UpdatedAt = e.by.Actor, clock.Later(e.now, e.job.CreatedAt)
	if !bytes.Equal(e.job.SealedSecrets, after.SealedSecrets) {
		after.SecretsVersion = new(after.Version)
	}
	if e.job.DeleteAfterCompletion || after.DeleteAfterCompletion {
		// A completion that deletes the job sees the versions from before it began. If it waits for
		// this change, it has to begin again.
		does |= revises
	}
	if err := s.store(ctx, e, after, does); err != nil {
		return err
	}
	return e.auditChange(ctx, "updateJob", result{"version": after.Version, "fields": changedFields(&e.job, after)})
}
