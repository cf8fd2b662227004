package poller

import (
	"sync"
	"time"
)

// results collects ended runs into batches to be stored.
type results struct {
	batchSize int
	mu        sync.Mutex
	ended     []ended
	taking    bool          // somebody is storing
	now       chan struct{} // has a token when there is reason not to linger
}

func newResults(batchSize int) *results {
	return &results{batchSize: batchSize, now: make(chan struct{}, 1)}
}

// add adds an ended run. It returns true when nobody is storing: then the caller has to, until take returns nothing.
func (r *results) add(e ended) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, e)
	if len(r.ended) >= r.batchSize {
		r.hurry()
	}
	if r.taking {
		return false
	}
	r.taking = true
	return true
}

// hurry ends the lingering of take: somebody waits for what is stored.
func (r *results) hurry() {
	select {
	case r.now <- struct{}{}:
	default:
	}
}

// take returns the next batch, after lingering a moment for it to fill. With nothing left to store it returns nothing,
// and the caller is no longer the one who stores.
func (r *results) take() []ended {
	r.mu.Lock()
	if len(r.ended) == 0 {
		r.taking = false
		r.mu.Unlock()
		return nil
	}
	full := len(r.ended) >= r.batchSize
	r.mu.Unlock()
	if !full {
		timer := time.NewTimer(linger)
		select {
		case <-r.now:
		case <-timer.C:
		}
		timer.Stop()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.ended), r.batchSize)
	batch := r.ended[:n:n]
	r.ended = r.ended[n:]
	return batch
}
