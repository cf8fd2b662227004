package api

import (
	"context"
	"errors"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/instant"
	"punctual/internal/jobs"
	"punctual/internal/stats"
)

// GetStats counts the runs of the namespace over time.
func (s *handlers) GetStats(ctx context.Context, r server.GetStatsRequestObject) (server.GetStatsResponseObject, error) {
	p := r.Params
	filter := stats.Filter{Label: orDefault(p.Label, ""), Triggers: texts(p.Trigger), TargetType: (*string)(p.TargetType)}
	asked := stats.Asked{From: decodeInstant(p.From), To: decodeInstant(p.To), Step: stats.Step(orDefault(p.Step, ""))}
	all, isComplete, err := s.Stats.OfNamespace(ctx, access.From(ctx), asked, filter)
	if err != nil {
		return nil, statsError("count runs over time", err)
	}
	return server.GetStats200JSONResponse{
		From: instant.Time{Time: all.From}, To: instant.Time{Time: all.To}, Step: server.StatsStep(all.Step),
		Items: encodeAll(all.Items, encodeStatsItem), Totals: encodeTotals(all.Totals), IsComplete: isComplete,
	}, nil
}

// statsError returns the error of stats, with the parameter that is wrong.
func statsError(doing string, err error) error {
	bad, ok := errors.AsType[stats.BadWindow](err)
	if !ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	code := jobs.Conflicting
	switch bad.Why {
	case stats.IsEmpty, stats.IsTooEarly:
	case stats.IsTooLong:
		code = jobs.TooLarge
	case stats.IsTooOld:
		code = jobs.OlderThanRetention
	}
	return invalidQuery(bad.Field, code, string(bad.Why))
}

func encodeStatsItem(item stats.Item) server.StatsItem {
	n := encodeTotals(item.Numbers)
	return server.StatsItem{
		StartsAt: instant.Time{Time: item.StartsAt}, Succeeded: n.Succeeded, Failed: n.Failed, Canceled: n.Canceled,
		Skipped: n.Skipped, LatenessMilliseconds: n.LatenessMilliseconds, DurationMilliseconds: n.DurationMilliseconds,
	}
}

func encodeTotals(n stats.Numbers) server.StatsTotals {
	out := server.StatsTotals{Succeeded: n.Succeeded, Failed: n.Failed, Canceled: n.Canceled, Skipped: n.Skipped}
	if q := n.Lateness; q != nil {
		out.LatenessMilliseconds = &server.LatenessQuantiles{P50: q.P50, P95: q.P95, P99: q.P99, Max: q.Max}
	}
	if q := n.Duration; q != nil {
		out.DurationMilliseconds = &server.DurationQuantiles{P50: q.P50, P95: q.P95, P99: q.P99}
	}
	return out
}

// GetJobStats counts the runs of a job over time.
func (s *handlers) GetJobStats(ctx context.Context, r server.GetJobStatsRequestObject) (server.GetJobStatsResponseObject, error) {
	// Nothing ties a job's runs to the job, so whether there is such a job has to be asked.
	if _, err := s.Jobs.Get(ctx, access.From(ctx), r.Id); err != nil {
		return nil, fmt.Errorf("count a job's runs: %w", err)
	}
	p := r.Params
	asked := stats.Asked{From: decodeInstant(p.From), To: decodeInstant(p.To), Step: stats.Step(orDefault(p.Step, ""))}
	all, isCapped, err := s.Stats.OfJob(ctx, r.Id, asked)
	if err != nil {
		return nil, statsError("count a job's runs", err)
	}
	return server.GetJobStats200JSONResponse{
		From: instant.Time{Time: all.From}, To: instant.Time{Time: all.To}, Step: server.StatsStep(all.Step),
		Items: encodeAll(all.Items, encodeStatsItem), Totals: encodeTotals(all.Totals), IsCapped: isCapped,
	}, nil
}
