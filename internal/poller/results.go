package poller

import (
	"sync"
	"time"
)

// maxStorers is how many batches are stored at a time: while one waits for its commit, the other is
// computed.
const maxStorers = 2

// results collects ended runs into batches to be stored.
type results struct {
	batchSize int
	mu        sync.Mutex
	ended     []*run
	storers   int
	lingering bool          // the only storer waits for its batch to fill
	hurried   chan struct{} // has a token when there is reason not to linger
}

func newResults(batchSize int) *results {
	return &results{batchSize: batchSize, hurried: make(chan struct{}, 1)}
}

// add adds an ended run. If it returns true, the caller has to store batches until take returns
// nothing. One caller stores as long as anything is left, another only full batches.
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

// hurry ends the lingering of take: somebody waits for runs to be stored.
func (r *results) hurry() {
	select {
	case r.hurried <- struct{}{}:
	default:
	}
}

// take returns the next batch, after lingering a moment for it to fill. If it returns nothing, the
// caller stops storing: nothing is left, or another caller stores it.
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

// linger waits for the batch to fill, for a moment at most. The caller holds the lock, which is
// released while it waits.
func (r *results) linger() {
	r.lingering = true
	r.mu.Unlock()
	timer := time.NewTimer(linger)
	select {
	case <-r.hurried:
	case <-timer.C:
	}
	timer.Stop()
	r.mu.Lock()
	r.lingering = false
}
