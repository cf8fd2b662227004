package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/hashicorp/golang-lru/v2/expirable"

	"punctual/internal/access"
)

// lagHeader says by how many seconds an answer may be older than one from the primary.
const lagHeader = "Punctual-Replica-Lag"

// Replica is a read replica of a cell.
type Replica struct {
	Cell
	// Lag returns by how much the replica may be behind. It returns false if the replica cannot be
	// used. It does not block.
	Lag func() (time.Duration, bool)
}

const (
	// ownChangesFor is how long those who have changed something read at the primary.
	ownChangesFor = 10 * time.Second
	// maxLag is how far behind a replica may be: less than that by more than a lag is known for.
	maxLag = ownChangesFor / 2
	// maxWriters bounds of how many callers it is known that they have changed something.
	maxWriters = 10_000
)

// replicas decides which requests are answered from replicas. Safe for concurrent use.
type replicas struct {
	spec *openapi3.T
	// writers returns the callers who have changed something a moment ago. They are made when there
	// is a replica, because they have a timer.
	writers func() *expirable.LRU[string, struct{}]
}

func newReplicas(spec *openapi3.T) *replicas {
	return &replicas{spec: spec, writers: sync.OnceValue(func() *expirable.LRU[string, struct{}] {
		return expirable.NewLRU[string, struct{}](maxWriters, nil, ownChangesFor)
	})}
}

// note remembers the caller of a request that may change something, so that they see it in a list.
func (r *replicas) note(request *http.Request) {
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		r.writers().Add(access.From(request.Context()).Actor, struct{}{})
	}
}

// lag returns by how much a replica may be behind that may answer a request, or false if none may.
func (r *replicas) lag(request *http.Request, replica *Replica) (time.Duration, bool) {
	if isAllowed, _ := operation(r.spec, request).Extensions["x-from-replica"].(bool); !isAllowed {
		return 0, false
	}
	if wantsFresh(request) || r.writers().Contains(access.From(request.Context()).Actor) {
		return 0, false
	}
	lag, isUsable := replica.Lag()
	return lag, isUsable && lag <= maxLag
}

// answerFrom answers a request from a replica, with its lag. It returns false if it has written
// nothing, because the replica has failed, or does not know what is asked for: the primary may.
func (h cellHandler) answerFrom(w http.ResponseWriter, r *http.Request, lag time.Duration) bool {
	caller := access.From(r.Context())
	if len(h.others.all()) > 1 {
		// It may not know yet that the namespace has come to this cell.
		if isHere, err := h.queries.IsHere(r.Context(), caller.Namespace); err != nil || !isHere {
			return false
		}
	}
	answer := recorder{header: http.Header{}}
	h.ServeHTTP(&answer, r)
	if answer.status >= http.StatusInternalServerError || answer.status == http.StatusNotFound {
		return false
	}
	answer.header.Set(lagHeader, strconv.FormatFloat(lag.Seconds(), 'f', 3, 64))
	answer.sendTo(w)
	return true
}

// wantsFresh reports whether a request is to be answered with what is true now.
func wantsFresh(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(r.Header.Values("Cache-Control"), ","), ","), func(directive string) bool {
		return strings.EqualFold(strings.TrimSpace(directive), "no-cache")
	})
}
