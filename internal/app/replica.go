package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/database"
	"punctual/internal/instances"
)

const (
	// measureLagEach is how often the lag of a replica is measured.
	measureLagEach = time.Second
	// lagWithin is how long a replica may take to answer. One that is slower is not used.
	lagWithin = time.Second
	// lagKnownFor is how long a lag is used without being measured again.
	lagKnownFor = 3 * time.Second
)

// replica follows by how much a read replica is behind, on a connection of its own: requests do not
// wait for that. Nil: there is none.
type replica struct {
	pool *pgxpool.Pool
	last atomic.Pointer[lag]
}

// lag is by how much a replica may be behind, and when that was measured.
type lag struct {
	by         time.Duration
	measuredAt time.Time
}

// openReplica prepares to follow a replica.
func openReplica(ctx context.Context, url, schema string) (*replica, error) {
	pool, err := database.OpenLimited(ctx, url, database.Limits{
		Schema: schema, IsReplica: true, Connections: 1, Acquire: lagWithin, Statement: lagWithin,
	})
	return &replica{pool: pool}, err
}

// run measures the lag until ctx ends.
func (r *replica) run(ctx context.Context) {
	if r == nil {
		return
	}
	q := db.New(r.pool)
	for ctx.Err() == nil {
		began := time.Now()
		if by, ok := measureLag(ctx, q); ok {
			r.last.Store(&lag{by: by, measuredAt: began})
		} else {
			r.last.Store(nil)
		}
		clock.Sleep(ctx, measureLagEach)
	}
}

// lag returns by how much the replica may be behind. It returns false if that is not known, or if
// the replica cannot be used.
func (r *replica) lag() (time.Duration, bool) {
	last := r.last.Load()
	if last == nil || time.Since(last.measuredAt) > lagKnownFor {
		return 0, false
	}
	return last.by, true
}

// measureLag returns by how much a replica may be behind. It returns false for a server that is no
// standby, that lacks migrations, or that does not answer.
func measureLag(ctx context.Context, q *db.Queries) (time.Duration, bool) {
	row, err := q.MeasureReplica(ctx)
	if err != nil || !row.IsStandby || row.Version < database.LatestVersion() || row.Unheard > 0 {
		return 0, false
	}
	// It has replayed what it has received, but it may not receive what there is: heartbeats are
	// late.
	unreceived := instances.Lasts.Seconds() + row.Unheard - 2*instances.WrittenEach(instances.Lasts).Seconds()
	seconds := max(row.Lag, unreceived, 0)
	if seconds > time.Hour.Seconds() { // or infinite
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

func (r *replica) close() {
	if r != nil {
		closeAll(r.pool)
	}
}
