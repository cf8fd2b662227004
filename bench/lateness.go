package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"punctual/internal/poller"
)

// riverRate is how many scheduled jobs River gets per second. It does not keep up with many more.
const riverRate = 100

// lateness measures lateness at a steady rate, of jobs at independent instants.
func (b *bench) lateness(ctx context.Context) error {
	l, err := b.latenessOfService(ctx)
	if err != nil {
		return err
	}
	b.report.Lateness = append(b.report.Lateness, l)
	b.report.atMost("lateness p99, ms", l.P99, 10)
	b.report.atMost("lateness max, ms", l.Max, 250)
	b.report.atLeast("lateness min, ms", l.Min, 0)
	b.report.atMost("transactions/s to claim and complete", l.TransactionsPerSecond, 50)
	if b.River == "" || !b.wants("river") {
		return nil
	}
	for _, river := range []struct{ name, poll string }{
		{"River, 100/s, default settings", "0"}, {"River, 100/s, polling every 1 ms", "1ms"},
	} {
		var answer struct{ Runs, P50, P99, Max, Min, QueriesPerSecond float64 }
		jobs := max(1, int(b.LatenessFor.Seconds()*riverRate))
		err := b.river(ctx, &answer, "scheduled", "--jobs="+strconv.Itoa(jobs), "--rate="+strconv.Itoa(riverRate),
			"--poll="+river.poll, "--cooldown="+river.poll)
		if err != nil {
			return err
		}
		b.report.Lateness = append(b.report.Lateness, Lateness{
			Name: river.name, Runs: int(answer.Runs), RunsPerSecond: answer.Runs / b.LatenessFor.Seconds(),
			P50: answer.P50 * 1000, P99: answer.P99 * 1000, Max: answer.Max * 1000, Min: answer.Min * 1000,
			TransactionsPerSecond: answer.QueriesPerSecond,
		})
	}
	return nil
}

func (b *bench) latenessOfService(ctx context.Context) (l Lateness, err error) {
	s, err := b.firing(ctx, b.LatenessJobs)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return b.fire(ctx, s, poller.Config{Executor: newNoop(0)}, b.LatenessFor)
}

// firing creates a database with jobs that fire at the configured rate. The caller has to close it.
func (b *bench) firing(ctx context.Context, jobs int) (*scratch, error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return nil, err
	}
	interval := (time.Duration(jobs) * time.Second / time.Duration(b.FiresPerSecond)).Round(time.Second)
	// The jobs are due from the time at which they are stored, since that takes a few seconds.
	err = s.seed(ctx, seeding{jobs: jobs, interval: interval, first: b.Settle, within: interval, scattered: true})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// fire runs an instance for a while and measures how late it executes.
func (b *bench) fire(ctx context.Context, s *scratch, c poller.Config, during time.Duration) (l Lateness, err error) {
	i := b.startPoller(ctx, s, c)
	if err := pause(ctx, b.Settle); err != nil {
		return l, errors.Join(err, i.stop(ctx))
	}
	s.counter.take()
	cpu := cpuTime()
	var from, to time.Time
	err = s.pool.QueryRow(ctx, sqlNow).Scan(&from)
	err = errors.Join(err, pause(ctx, during))
	counted := s.counter.take()
	cpu = cpuTime() - cpu
	err = errors.Join(err, s.pool.QueryRow(ctx, sqlNow).Scan(&to))
	err = errors.Join(err, pause(ctx, time.Second)) // so that runs in flight end
	if err = errors.Join(err, i.stop(ctx)); err != nil {
		return l, err
	}

	l = Lateness{Name: "the service, " + strconv.Itoa(b.FiresPerSecond) + "/s", StatementsPerSecond: rates(counted, to.Sub(from))}
	l.TransactionsPerSecond = l.StatementsPerSecond["Claim"] + l.StatementsPerSecond["Complete"]
	if err := s.pool.QueryRow(ctx, sqlLateness, from, to).Scan(&l.Runs, &l.P50, &l.P99, &l.Max, &l.Min); err != nil {
		return l, err
	}
	if l.Runs == 0 {
		return l, errors.New("no run was executed")
	}
	if err := s.pool.QueryRow(ctx, sqlLeftOf, to).Scan(&l.Left); err != nil {
		return l, err
	}
	l.RunsPerSecond = float64(l.Runs) / to.Sub(from).Seconds()
	l.CPUPerRun = float64(cpu.Microseconds()) / float64(l.Runs)
	return l, i.giveUp(ctx)
}

// idle measures what an instance asks of the database if nothing is due.
func (b *bench) idle(ctx context.Context) (err error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	day := 24 * time.Hour
	if err := s.seed(ctx, seeding{jobs: b.IdleJobs, interval: 7 * day, first: day, within: day, scattered: true}); err != nil {
		return err
	}
	i := b.start(ctx, s, newNoop(0))
	err = pause(ctx, b.Settle)
	s.counter.take()
	err = errors.Join(err, pause(ctx, b.IdleFor))
	counted := s.counter.take()
	if err = errors.Join(err, i.stop(ctx)); err != nil {
		return err
	}
	idle := Idle{Jobs: b.IdleJobs, StatementsPerSecond: rates(counted, b.IdleFor)}
	for _, rate := range idle.StatementsPerSecond {
		idle.QueriesPerSecond += rate
	}
	b.report.Idle = &idle
	b.report.atMost("queries/s of an idle instance", idle.QueriesPerSecond, 1)
	return i.giveUp(ctx)
}

func rates(counts map[string]int, during time.Duration) map[string]float64 {
	each := map[string]float64{}
	for name, n := range counts {
		each[name] = float64(n) / during.Seconds()
	}
	return each
}
