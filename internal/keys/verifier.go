package keys

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"punctual/gen/db"
	"punctual/internal/access"
)

const (
	// knownFor is how long a key is used without being read again. A notification ends it at once,
	// so this bounds how long a revoked key lives on if the notification is lost.
	knownFor = 5 * time.Second
	// unknownFor is the same for an id that no key has.
	unknownFor = time.Second
	// maxKnown and maxUnknown bound what an instance remembers: about 1 kB for each key. Unknown ids
	// have room of their own, so that whoever tries ids drives out no key.
	maxKnown   = 20_000
	maxUnknown = 2_000
	// readWithin bounds reading a key. Several requests may wait for it, so it does not end with the
	// request that began it.
	readWithin = 10 * time.Second
)

// Verifier finds out which key a request brings. It reads a key once and remembers it for some
// seconds, until it is told to Forget. Make it with NewVerifier, and Run it to store when keys were
// used. Safe for concurrent use.
type Verifier struct {
	queries        *db.Queries
	known, unknown *lru.Cache[string, *entry]
	// generation is raised when what was read before must no longer be used.
	generation atomic.Int64
	reads      singleflight.Group
	// attempts has the ids that were not known and are being looked up.
	attempts sync.Map
	uses     uses
}

var _ access.Verifier = (*Verifier)(nil)

// entry is what an instance remembers of an id.
type entry struct {
	key        *db.Key // nil: there is none
	caller     access.Caller
	generation int64
	// askedAt is when the database was asked, by this machine's clock, and readAt is when it
	// answered, by its own clock.
	askedAt, readAt time.Time
	// isUseNoted says that nobody has to note the use of the key again.
	isUseNoted atomic.Bool
}

// NewVerifier returns a Verifier that remembers nothing yet.
func NewVerifier(queries *db.Queries) (*Verifier, error) {
	v := &Verifier{queries: queries}
	var errs [2]error
	v.known, errs[0] = lru.New[string, *entry](maxKnown)
	v.unknown, errs[1] = lru.New[string, *entry](maxUnknown)
	return v, errors.Join(errs[:]...)
}

// Forget makes the Verifier read each key again before it is used again. It does not block.
func (v *Verifier) Forget() { v.generation.Add(1) }

// Verify returns who has a key. See access.Verifier.
func (v *Verifier) Verify(ctx context.Context, credentials string) (access.Caller, error) {
	plain, ok := parse(credentials)
	if !ok {
		return access.Caller{}, access.ErrInvalid
	}
	e, err := v.lookUp(ctx, plain.ID())
	if err != nil {
		return access.Caller{}, err
	}
	if err := e.admit(plain); err != nil {
		return access.Caller{}, err
	}
	v.noteUse(e)
	return e.caller, nil
}

// admit returns an error unless the key is valid now. That it has expired or is revoked is only for
// those who know the secret.
func (e *entry) admit(plain Plain) error {
	if e.key == nil {
		return access.ErrInvalid
	}
	// The time that this takes says nothing of the digest, and less of the secret.
	if digest := plain.digest(); subtle.ConstantTimeCompare(digest[:], e.key.SecretSha256) != 1 {
		return access.ErrInvalid
	}
	switch statusOf(e.key, e.now()) {
	case Revoked:
		return access.ErrRevoked
	case Expired:
		return access.ErrExpired
	default:
		return nil
	}
}

// now returns the database's time, and rather a later one.
func (e *entry) now() time.Time { return e.readAt.Add(time.Since(e.askedAt)) }

// isFresh reports whether what was read may still be used.
func (e *entry) isFresh(generation int64) bool {
	limit := knownFor
	if e.key == nil {
		limit = unknownFor
	}
	return e.generation == generation && time.Since(e.askedAt) < limit
}

// lookUp returns what is known of an id. It asks the database if that is too old, once for all
// requests that wait for it.
func (v *Verifier) lookUp(ctx context.Context, id string) (*entry, error) {
	generation := v.generation.Load()
	for _, cache := range []*lru.Cache[string, *entry]{v.known, v.unknown} {
		if e, ok := cache.Get(id); ok && e.isFresh(generation) {
			return e, nil
		}
	}
	if !v.known.Contains(id) {
		// Many programs may have one key, and come at once when an instance starts.
		if _, hasBegun := v.attempts.LoadOrStore(id, true); !hasBegun {
			defer v.attempts.Delete(id)
			if err := access.BeginAttempt(ctx); err != nil {
				return nil, err
			}
		}
	}
	// Requests of another generation do not wait for this answer: it may be too old for them.
	answer := v.reads.DoChan(id+" "+strconv.FormatInt(generation, 10), func() (any, error) {
		return v.read(context.WithoutCancel(ctx), id, generation)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-answer:
		if got.Err != nil {
			return nil, got.Err
		}
		return got.Val.(*entry), nil
	}
}

// read reads a key, and remembers it.
func (v *Verifier) read(ctx context.Context, id string, generation int64) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	e := &entry{generation: generation, askedAt: time.Now()}
	row, err := v.queries.ReadKey(ctx, id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		v.known.Remove(id)
		v.unknown.Add(id, e)
	case err != nil:
		return nil, fmt.Errorf("read the key of a request: %w", err)
	default:
		e.key, e.readAt, e.caller = &row.Key, row.ReadAt, callerOf(&row.Key)
		v.unknown.Remove(id)
		v.known.Add(id, e)
	}
	return e, nil
}

// callerOf returns who has a key.
func callerOf(key *db.Key) access.Caller {
	caller := access.Caller{
		Actor: "key:" + key.ID, Queues: key.Queues, IsServiceWide: key.Namespace == nil,
		RequestsPerSecond: key.RequestsPerSecond, Scopes: make([]access.Scope, len(key.Scopes)),
	}
	if key.Namespace != nil {
		caller.Namespace = *key.Namespace
	}
	for i, scope := range key.Scopes {
		caller.Scopes[i] = access.Scope(scope)
	}
	return caller
}
