package poller

import (
	"slices"

	"punctual/internal/outcome"
)

// handOver hands a run over to be stored. Whoever finds nobody storing does it, for all that end meanwhile: the busier,
// the larger the batches.
func (p *Poller) handOver(r *run) {
	if !p.results.add(r) {
		return
	}
	for {
		batch := p.results.take()
		if len(batch) == 0 {
			return
		}
		p.store(batch)
	}
}

// store stores how a batch of runs ended. It tries again until that is done or their lease is lost. When the instance
// stops, it tries once.
func (p *Poller) store(batch []*run) {
	defer func() {
		for _, r := range batch {
			r.settle()
		}
	}()
	open := slices.Clone(batch)
	for {
		open = slices.DeleteFunc(open, p.isLost)
		if len(open) == 0 {
			return
		}
		ctx := open[0].held.Context
		outcomes := make([]*outcome.Outcome, len(open))
		for i, r := range open {
			outcomes[i] = &r.Outcome
		}
		lost, left, err := p.outcomes.Batch(ctx, outcomes)
		for _, o := range lost {
			p.Logger.Warn("run was completed or taken over by others", "runId", o.RunID(), "token", o.Row.Token)
		}
		if err == nil {
			return
		}
		p.Logger.Error("storing failed", "runs", len(left), "error", err)
		if p.work.Err() != nil {
			return
		}
		open = slices.DeleteFunc(open, func(r *run) bool { return !slices.Contains(left, &r.Outcome) })
		sleep(ctx, retryDelay)
	}
}

// isLost tells whether a run's lease is gone and with it the right to store the run; it says so in the log.
func (p *Poller) isLost(r *run) bool {
	if r.held.Held() {
		return false
	}
	p.Logger.Warn("run left to others: its lease was lost before it was stored", "runId", r.RunID(), "token", r.Row.Token)
	return true
}
