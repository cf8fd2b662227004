package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/internal/executor"
	"punctual/internal/poller"
	"punctual/internal/runs"
)

const (
	// groupBound is how many runs of the group execute at a time, and groupRun how long each takes.
	groupBound, groupRun = 100, 100 * time.Millisecond

	maxLook          = 20 // ms
	maxLatenessAdded = 10 // ms
)

// groups measures what a concurrency group in which many runs wait costs: how long an instance
// looks at it, and how much later the runs of other jobs begin.
func (b *bench) groups(ctx context.Context) (err error) {
	s, err := b.firing(ctx, b.GroupJobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	before, err := b.fire(ctx, s, poller.Config{Executor: newNoop(0)}, b.LatenessFor)
	if err != nil {
		return err
	}
	before.Name = "no group, " + strconv.Itoa(b.GroupJobs) + " jobs"
	members, err := s.crowd(ctx, b.GroupWaiting)
	if err != nil {
		return err
	}
	looks := &lookMeter{}
	l, err := b.fire(ctx, s, poller.Config{Executor: crowded(members), Meter: looks}, b.LatenessFor)
	if err != nil {
		return err
	}
	l.Name = fmt.Sprintf("beside a group with %d waiting runs", b.GroupWaiting)
	if err := s.pool.QueryRow(ctx, sqlCrowdLeft).Scan(&l.Left); err != nil {
		return err
	}
	b.report.Lateness = append(b.report.Lateness, before, l)
	median, p99 := looks.percentiles()
	b.log.InfoContext(ctx, "measured", "what", "groups", "looks", len(looks.took), "medianMs", median, "p99Ms", p99, "left", l.Left)
	b.report.atMost("look at a group p99, ms", p99, maxLook)
	b.report.atMost("lateness p99 that the group adds, ms", l.P99-before.P99, maxLatenessAdded)
	return nil
}

// crowd makes jobs members of one group, due at once, and returns them.
func (s *scratch) crowd(ctx context.Context, count int) (map[uuid.UUID]bool, error) {
	rows, err := s.pool.Query(ctx, sqlCrowd, count, groupBound)
	if err != nil {
		return nil, fmt.Errorf("make a group: %w", err)
	}
	defer rows.Close()
	members := make(map[uuid.UUID]bool, count)
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		members[id] = true
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	_, err = s.pool.Exec(ctx, `vacuum analyze jobs, due`)
	return members, err
}

// crowded executes the runs of members slowly, and others at once.
type crowded map[uuid.UUID]bool

func (c crowded) Execute(ctx context.Context, run executor.Run) (*executor.Result, error) {
	if c[run.JobID] {
		return nil, pause(ctx, groupRun)
	}
	return nil, nil //nolint:nilnil // a success without a result
}

// lookMeter measures the looks at groups.
type lookMeter struct {
	mu   sync.Mutex
	took []time.Duration
}

func (m *lookMeter) Claimed(kind runs.ClaimKind, _ int, took time.Duration, err error) {
	if kind != runs.ClaimGroups || err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = append(m.took, took)
}

func (*lookMeter) Stored(runs.Batch, error) {}

// percentiles returns the median and the 99th percentile in milliseconds. The first looks plan the
// statements and do not count.
func (m *lookMeter) percentiles() (median, p99 float64) {
	took := slices.Clone(m.took[min(costWarmUp, len(m.took)):])
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return ms(took[len(took)/2]), ms(took[len(took)*99/100])
}
