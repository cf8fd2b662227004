package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
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
	// Lag returns by how much the replica may be behind. It returns false if it cannot be used: it
	// does not answer, or is too far behind.
	Lag func(ctx context.Context) (time.Duration, bool)
}

const (
	// ownChangesFor is how long those who have changed something read at the primary: no replica is
	// used that is further behind.
	ownChangesFor = 10 * time.Second
	// maxWriters bounds of how many callers it is known that they have changed something.
	maxWriters = 10_000
)

// replicas decides which requests are answered from replicas. Safe for concurrent use.
type replicas struct {
	spec *openapi3.T
	// writers are the callers, with their namespaces, who have changed something a moment ago.
	writers *expirable.LRU[writer, struct{}]
}

type writer struct{ actor, namespace string }

func newReplicas(spec *openapi3.T) *replicas {
	return &replicas{spec: spec, writers: expirable.NewLRU[writer, struct{}](maxWriters, nil, ownChangesFor)}
}

// choose returns the replica that is to answer a request, and its lag, or nil if the primary is. It
// notes who changes something: whoever does is to see it in a list.
func (r *replicas) choose(request *http.Request, replica *Replica) (*Replica, time.Duration) {
	if replica == nil {
		return nil, 0
	}
	by := access.From(request.Context())
	who := writer{by.Actor, by.Namespace}
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		r.writers.Add(who, struct{}{})
		return nil, 0
	}
	isAllowed, _ := operation(r.spec, request).Extensions["x-from-replica"].(bool)
	if !isAllowed || wantsFresh(request) || r.writers.Contains(who) {
		return nil, 0
	}
	lag, isUsable := replica.Lag(request.Context())
	if !isUsable || lag > ownChangesFor {
		return nil, 0
	}
	return replica, lag
}

// wantsFresh reports whether a request is to be answered with what is true now.
func wantsFresh(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(r.Header.Values("Cache-Control"), ","), ","), func(directive string) bool {
		return strings.EqualFold(strings.TrimSpace(directive), "no-cache")
	})
}

// sayLag sets the header that says by how much a replica may be behind.
func sayLag(w http.ResponseWriter, lag time.Duration) {
	w.Header().Set(lagHeader, strconv.FormatFloat(lag.Seconds(), 'f', 3, 64))
}
