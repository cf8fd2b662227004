package poller

import (
	"sync"
	"time"
)

// maxStorers is how many batches are stored at a time: while one waits for its commit, the other is computed.
const maxStorers = 2

// results collects ended runs into batches to be stored.
type results struct {
	batchSize int
	mu        sync.Mutex
	ended     []*run
	storers   int
	lingering bool          // the only storer waits for its batch to fill
	now       chan struct{} // has a token when there is reason not to linger
}

func newResults(batchSize int) *results {
	return &results{batchSize: batchSize, now: make(chan struct{}, 1)}
}

// add adds an ended run. It returns true when somebody has to store: then the caller has to, until take returns nothing.
// One stores as long as anything is left, another only what fills a batch.
func (r *results) add(e *run) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, e)
	full := len(r.ended) >= r.batchSize
	if full && r.lingering {
		r.hurry()
		return false
	}
	if r.storers == 0 || (full && r.storers < maxStorers) {
		r.storers++
		return true
	}
	return false
}

// hurry ends the lingering of take: somebody waits for what is stored.
func (r *results) hurry() {
	select {
	case r.now <- struct{}{}:
	default:
	}
}

// take returns the next batch, after lingering a moment for it to fill. When it returns nothing, the caller is no longer
// one who stores: nothing is left, or somebody else has it.
func (r *results) take() []*run {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ended) < r.batchSize {
		if len(r.ended) == 0 || r.storers > 1 {
			r.storers--
			return nil
		}
		r.linger()
	}
	n := min(len(r.ended), r.batchSize)
	batch := r.ended[:n:n]
	r.ended = r.ended[n:]
	return batch
}

// linger waits, without the lock, for the batch to fill, for a moment at most.
func (r *results) linger() {
	r.lingering = true
	r.mu.Unlock()
	timer := time.NewTimer(linger)
	select {
	case <-r.now:
	case <-timer.C:
	}
	timer.Stop()
	r.mu.Lock()
	r.lingering = false
}
