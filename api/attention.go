package api

import (
	"context"
	"fmt"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/instant"
	"punctual/internal/jobs"
)

// GetAttention says what needs attention in the namespace.
func (s *handlers) GetAttention(ctx context.Context, r server.GetAttentionRequestObject) (server.GetAttentionResponseObject, error) {
	found, err := s.Jobs.Attention(ctx, access.From(ctx), orDefault(r.Params.Limit, defaultTroubled))
	if err != nil {
		return nil, fmt.Errorf("look for what needs attention: %w", err)
	}
	return server.GetAttention200JSONResponse{
		Jobs: encodeAll(found.Jobs, encodeTroubled), Queues: encodeAll(found.Queues, encodeUnattended),
		Connections: encodeAll(found.Connections, func(c db.ListDownConnectionsRow) server.DownConnection {
			return server.DownConnection{Key: c.Key, BaseUrl: c.BaseUrl, Since: instant.Time{Time: c.DownSince}, Reason: c.Reason}
		}),
	}, nil
}

func encodeTroubled(of jobs.Troubled) server.TroubledJobs {
	return server.TroubledJobs{
		Problem: server.JobProblem(of.Problem), Count: min(of.Count, jobs.MaxTroubled), CountIsCapped: of.Count > jobs.MaxTroubled,
		Items: encodeAll(of.Jobs, func(t jobs.Trouble) server.TroubledJob {
			return server.TroubledJob{
				Id: t.Job.ID, Key: t.Job.Key, Name: t.Job.Name, Labels: encodeLabels(t.Job.Labels), Since: instant.Time{Time: t.Since},
				Reason: t.Reason, ConsecutiveFailures: t.ConsecutiveFailures, LastRun: encodeLastRun(t.View),
			}
		}),
	}
}

func encodeUnattended(q db.ListUnattendedRow) server.UnattendedQueue {
	return server.UnattendedQueue{
		Name: access.Unqualified(q.Queue), Waiting: min(q.Waiting, jobs.MaxTroubled), WaitingIsCapped: q.Waiting > jobs.MaxTroubled,
		Since: instant.Time{Time: q.Since},
	}
}
