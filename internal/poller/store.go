package poller

import (
	"context"
	"slices"

	"punctual/internal/clock"
	"punctual/internal/logging"
	"punctual/internal/runs"
)

// handOver hands an ended run over to be stored. Whoever finds nobody storing does it, for all runs
// that end meanwhile: the busier the instance, the larger the batches.
func (p *Poller) handOver(r *run) {
	if !p.results.Add(r) {
		return
	}
	for {
		batch := p.results.Take()
		if len(batch) == 0 {
			return
		}
		p.save(batch)
	}
}

// save stores how a batch of runs ended, and releases each run when it is stored. It tries again
// until all are stored or their lease is lost. When the instance stops, it tries once.
func (p *Poller) save(batch []*run) {
	outage := logging.Outage{
		Logger: p.Logger, Failing: "could not store how runs ended; it is tried again", Working: "ended runs are stored again",
	}
	for {
		batch = releaseIf(batch, p.isLost)
		if len(batch) == 0 {
			return
		}
		ended := make([]*runs.Ended, len(batch))
		for i, r := range batch {
			ended[i] = r.ended
		}
		saved := p.runs.Save(batch[0].lease.Context, ended)
		for _, e := range saved.Lost {
			p.logLost(e)
		}
		for _, refused := range saved.Refused {
			i := slices.IndexFunc(batch, func(r *run) bool { return r.ended == refused.Ended })
			go p.saveRefused(batch[i], refused) // what ends later need not wait for it
			batch = slices.Delete(batch, i, i+1)
		}
		batch = releaseIf(batch, func(r *run) bool { return !slices.Contains(saved.Left, r.ended) })
		if saved.Err == nil {
			outage.Worked(context.Background())
			return
		}
		outage.Failed(context.Background(), saved.Err)
		if p.work.Err() != nil {
			releaseIf(batch, func(*run) bool { return true })
			return
		}
		clock.Sleep(batch[0].lease.Context, retryDelay)
	}
}

// saveRefused stores a run that the database refuses, until its lease is lost or the instance
// stops.
func (p *Poller) saveRefused(r *run, refused runs.Refused) {
	defer r.release()
	ctx, cancel := context.WithCancelCause(r.lease.Context)
	defer cancel(nil)
	defer context.AfterFunc(p.work, func() { cancel(context.Cause(p.work)) })()
	isLost, err := p.runs.SaveRefused(ctx, refused)
	switch {
	case err != nil:
		p.Logger.Error("a refused run was not stored; it is left to others", "runId", refused.RunID(), "error", err)
	case isLost:
		p.logLost(refused.Ended)
	}
}

func (p *Poller) logLost(e *runs.Ended) {
	p.Logger.Warn("run was completed or taken over by others", "runId", e.RunID(), "token", e.Due.Token)
}

// releaseIf releases the runs for which is returns true, and returns the others.
func releaseIf(batch []*run, is func(*run) bool) []*run {
	return slices.DeleteFunc(slices.Clone(batch), func(r *run) bool {
		if is(r) {
			r.release()
			return true
		}
		return false
	})
}

// isLost reports whether a run's lease is lost and with it the right to store the run. It logs
// that.
func (p *Poller) isLost(r *run) bool {
	if r.lease.Held() {
		return false
	}
	p.Logger.Warn("run left to others: its lease was lost before it was stored", "runId", r.ended.RunID(), "token", r.ended.Due.Token)
	return true
}
