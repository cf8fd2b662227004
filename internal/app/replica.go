package app

import (
	"context"
	"errors"
	"time"

	"punctual/gen/db"
	"punctual/internal/recent"
)

const (
	// lagKnownFor is how long the lag of a replica is used without being measured again.
	lagKnownFor = time.Second
	// lagWithin is how long a replica may take to say how far behind it is. One that is slower is
	// not used: requests wait for the answer.
	lagWithin = time.Second
	// unusableFor is how long a replica is not asked again that did not answer.
	unusableFor = 5 * time.Second
)

// errUnheard says that a replica has heard of no instance for longer than instances are silent.
var errUnheard = errors.New("the replica receives nothing from its primary")

// lag is by how much a replica may be behind.
type lag struct {
	time.Duration
	isUsable bool
	// askAgain is when a replica is asked again that did not answer.
	askAgain time.Time
}

// lagOf returns what measures by how much a replica may be behind. It returns false if the replica
// does not answer, or receives nothing.
func lagOf(q *db.Queries) func(context.Context) (time.Duration, bool) {
	known := recent.New(lagKnownFor, func(ctx context.Context, _ struct{}, before lag) (lag, error) {
		if time.Now().Before(before.askAgain) {
			return before, nil
		}
		ctx, cancel := context.WithTimeout(ctx, lagWithin)
		defer cancel()
		is, err := measureReplica(ctx, q)
		if err != nil { // whoever asks reads at the primary
			return lag{askAgain: time.Now().Add(unusableFor)}, nil //nolint:nilerr // likewise
		}
		return lag{Duration: is, isUsable: true}, nil
	})
	return func(ctx context.Context) (time.Duration, bool) {
		is, err := known.Get(ctx, struct{}{})
		return is.Duration, is.isUsable && err == nil
	}
}

// measureReplica returns by how much a replica may be behind, or an error if that is not known.
func measureReplica(ctx context.Context, q *db.Queries) (time.Duration, error) {
	row, err := q.MeasureReplica(ctx)
	switch {
	case err != nil:
		return 0, err
	case row.Unheard > 0:
		return 0, errUnheard
	default:
		return time.Duration(row.Lag * float64(time.Second)), nil
	}
}
