package poller

import (
	"context"

	"punctual/gen/db"
	"punctual/internal/planner"
)

// split lets the schedules of jobs whose runs may overlap go on without the runs that were claimed. Where it fails, they go
// on when the runs end.
func (p *Poller) split(ctx context.Context, runs []*ended) {
	var params db.SplitParams
	for _, e := range runs {
		row := &e.row
		if !row.Recurs || !planner.MayOverlap(&row.Job) {
			continue
		}
		var err error
		if e.when, err = planner.Schedule(&row.Job); err != nil {
			continue // the run will say so
		}
		if planner.Misfire(&row.Job, e.when, row.ScheduledFor, p.clock.Now()) != nil {
			continue // it will be stepped over
		}
		next, ok := planner.Splits(&row.Job, e.when, row.ScheduledFor, row.RunCount+row.Job.RunCount)
		if !ok {
			continue
		}
		e.split = true
		params.JobIds = append(params.JobIds, row.JobID)
		params.ScheduledFors = append(params.ScheduledFors, row.ScheduledFor)
		params.Tokens = append(params.Tokens, row.Token)
		params.NextFors = append(params.NextFors, next)
	}
	if len(params.JobIds) == 0 {
		return
	}
	if err := p.queries.Split(ctx, params); err != nil {
		p.Logger.ErrorContext(ctx, "schedules wait for their runs to end", "error", err)
		return
	}
	for _, next := range params.NextFors {
		p.Due(next)
	}
}
