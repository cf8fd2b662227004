package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/badge"
	"punctual/internal/jobs"
)

// badges has what the badge of a job says, and its colour, by the health of the job.
var badges = map[jobs.Health]struct {
	message string
	colour  badge.Colour
}{
	jobs.HealthOK: {"ok", badge.Green}, jobs.HealthFailing: {"failing", badge.Red}, jobs.HealthLate: {"late", badge.Orange},
	jobs.HealthPaused: {"paused", badge.Grey}, jobs.HealthCompleted: {"completed", badge.Blue},
	jobs.HealthNeverRan: {"never ran", badge.Grey},
}

// GetJobBadge draws the badge of a job, also for a caller who is nobody, if the job allows that.
func (s *handlers) GetJobBadge(ctx context.Context, r server.GetJobBadgeRequestObject) (server.GetJobBadgeResponseObject, error) {
	view, err := s.Jobs.GetForBadge(ctx, access.From(ctx), r.Id)
	if errors.Is(err, jobs.ErrNotFound) { // one that is public may be in any cell
		for _, other := range s.others.all() {
			if view, err = other.Jobs.GetForBadge(ctx, access.Caller{}, r.Id); !errors.Is(err, jobs.ErrNotFound) {
				break
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("get a job's badge: %w", err)
	}
	of := badges[view.Health]
	picture := badge.SVG(orDefault(r.Params.Label, view.Job.Name), of.message, of.colour)
	digest := sha256.Sum256(picture)
	tag, kept := `"`+hex.EncodeToString(digest[:12])+`"`, "private, max-age=60"
	if view.Job.PublicBadge {
		kept = "public, max-age=60"
	}
	if matches(orDefault(r.Params.IfNoneMatch, ""), tag) {
		return server.GetJobBadge304Response{Headers: server.GetJobBadge304ResponseHeaders{CacheControl: kept, ETag: tag}}, nil
	}
	return server.GetJobBadge200ImagesvgXmlResponse{
		Body: bytes.NewReader(picture), ContentLength: int64(len(picture)),
		Headers: server.GetJobBadge200ResponseHeaders{CacheControl: kept, ETag: tag},
	}, nil
}

// matches reports whether a list of entity tags has one, in the weak comparison of RFC 9110.
func matches(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}
