package poller

import (
	"slices"

	"punctual/internal/runs"
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

// store stores how a batch of runs ended, and settles each when it is stored. It tries again until all are, or their lease is
// lost. When the instance stops, it tries once.
func (p *Poller) store(batch []*run) {
	for groups := [][]*run{batch}; len(groups) > 0; {
		var again [][]*run
		for _, group := range groups {
			again = append(again, p.storeOnce(group)...)
		}
		if groups = again; len(groups) > 0 {
			sleep(groups[0][0].held.Context, retryDelay)
		}
	}
}

// storeOnce stores a group of runs, and returns what is to be tried again: in halves where the database has refused what
// one of them says, so that the others need not wait for that one. Once that is alone it is tried again apart, so that what ends
// later need not wait for it either.
func (p *Poller) storeOnce(group []*run) [][]*run {
	group = settle(group, p.isLost)
	if len(group) == 0 {
		return nil
	}
	outcomes := make([]*runs.Outcome, len(group))
	for i, r := range group {
		outcomes[i] = &r.Outcome
	}
	lost, left, err := p.outcomes.Batch(group[0].held.Context, outcomes)
	for _, o := range lost {
		p.Logger.Warn("run was completed or taken over by others", "runId", o.RunID(), "token", o.Row.Token)
	}
	group = settle(group, func(r *run) bool { return !slices.Contains(left, &r.Outcome) })
	if err == nil {
		return nil
	}
	p.Logger.Error("storing failed", "runs", len(left), "error", err)
	half := len(group) / 2
	switch {
	case p.work.Err() != nil:
		settle(group, func(*run) bool { return true })
		return nil
	case !runs.IsRefusal(err):
		return [][]*run{group}
	case half > 0:
		return [][]*run{group[:half:half], group[half:]}
	}
	go func() {
		sleep(group[0].held.Context, retryDelay)
		p.store(group)
	}()
	return nil
}

// settle settles those runs for which is holds, and returns the others.
func settle(group []*run, is func(*run) bool) []*run {
	return slices.DeleteFunc(slices.Clone(group), func(r *run) bool {
		if is(r) {
			r.settle()
			return true
		}
		return false
	})
}

// isLost tells whether a run's lease is gone and with it the right to store the run; it says so in the log.
func (p *Poller) isLost(r *run) bool {
	if r.held.Held() {
		return false
	}
	p.Logger.Warn("run left to others: its lease was lost before it was stored", "runId", r.RunID(), "token", r.Row.Token)
	return true
}
