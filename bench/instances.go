package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"punctual/internal/app"
	"punctual/internal/logging"
)

// maxWorse is how much worse a number may get from one instance to the most, at the same load.
const maxWorse = 1.2

// Many says how some instances do together: at a steady rate, and with a backlog.
type Many struct {
	Instances             int     `json:"instances"`
	RunsPerSecond         float64 `json:"runsPerSecond"`
	P50                   float64 `json:"p50"`
	P99                   float64 `json:"p99"`
	Max                   float64 `json:"max"`
	TransactionsPerSecond float64 `json:"transactionsPerSecond"`
	IdleTransactions      float64 `json:"idleTransactionsPerSecond"`
	Sessions              int     `json:"sessions"`
	Drained               float64 `json:"drainedPerSecond"`
}

// instances measures growing numbers of instances, each in a process of its own, on one database.
func (b *bench) instances(ctx context.Context) error {
	for _, n := range b.Instances {
		m, err := b.many(ctx, n)
		if err != nil {
			return fmt.Errorf("%d instances: %w", n, err)
		}
		b.log.InfoContext(ctx, "measured", "what", "instances", "instances", n, "p99Ms", m.P99, "drained", int(m.Drained))
		b.report.Many = append(b.report.Many, m)
	}
	first, last := b.report.Many[0], b.report.Many[len(b.report.Many)-1]
	what := fmt.Sprintf("%d / %d instances", last.Instances, first.Instances)
	b.report.atMost("lateness p99, "+what, last.P99/first.P99, maxWorse)
	b.report.atLeast("backlog, "+what, last.Drained/first.Drained, 1/maxWorse)
	return nil
}

func (b *bench) many(ctx context.Context, n int) (m Many, err error) {
	m.Instances = n
	s, err := b.firing(ctx, b.LatenessJobs)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.moveDue(ctx, time.Hour); err != nil {
		return m, err
	}
	for range n {
		end, err := startInstance(ctx, s.url)
		if err != nil {
			return m, err
		}
		defer func() { _ = end() }() // what it did is stored
	}
	// Nothing is due: what instances do all the time. Idle sessions report late.
	if err := pause(ctx, b.Settle+10*time.Second); err != nil {
		return m, err
	}
	idle, err := b.observe(ctx, s, func() error { return pause(ctx, b.InstancesFor) })
	if err != nil {
		return m, err
	}
	m.IdleTransactions = idle.transactions
	if err := s.pool.QueryRow(ctx, sqlSessions).Scan(&m.Sessions); err != nil {
		return m, err
	}
	// The jobs fire at their rate.
	if err := s.moveDue(ctx, -time.Hour); err != nil {
		return m, err
	}
	if err := pause(ctx, 3*b.Settle); err != nil { // what is late by then is executed first
		return m, err
	}
	var from, to time.Time
	if err := s.pool.QueryRow(ctx, sqlNow).Scan(&from); err != nil {
		return m, err
	}
	busy, err := b.observe(ctx, s, func() error { return pause(ctx, b.InstancesFor) })
	if err != nil {
		return m, err
	}
	m.TransactionsPerSecond = busy.transactions
	if err := s.pool.QueryRow(ctx, sqlNow).Scan(&to); err != nil {
		return m, err
	}
	if err := pause(ctx, time.Second); err != nil { // so that runs in flight end
		return m, err
	}
	var count int
	var least float64
	if err := s.pool.QueryRow(ctx, sqlLateness, from, to).Scan(&count, &m.P50, &m.P99, &m.Max, &least); err != nil {
		return m, err
	}
	m.RunsPerSecond = float64(count) / to.Sub(from).Seconds()
	m.Drained, err = b.backlogOf(ctx, s)
	return m, err
}

// moveDue moves what is due by a time.
func (s *scratch) moveDue(ctx context.Context, by time.Duration) error {
	_, err := s.pool.Exec(ctx, `update due set scheduled_for = scheduled_for + $1, ready_at = ready_at + $1`, by)
	if err != nil {
		return fmt.Errorf("move what is due: %w", err)
	}
	_, err = s.pool.Exec(ctx, `vacuum analyze due`)
	return err
}

// backlogOf makes all jobs due at one instant, and returns how many runs a second are executed of
// them.
func (b *bench) backlogOf(ctx context.Context, s *scratch) (perSecond float64, err error) {
	var at time.Time
	if err := s.pool.QueryRow(ctx, sqlNow).Scan(&at); err != nil {
		return 0, err
	}
	at = at.Add(b.Settle).Truncate(time.Second)
	if _, err := s.pool.Exec(ctx, `update jobs set interval_seconds = 86400`); err != nil {
		return 0, err
	}
	if _, err := s.pool.Exec(ctx, `update due set scheduled_for = $1, ready_at = $1 where lease_id is null`, at); err != nil {
		return 0, err
	}
	if err := pause(ctx, time.Until(at)); err != nil {
		return 0, err
	}
	for left := 1; left > 0; {
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return 0, err
		}
		if err := s.pool.QueryRow(ctx, sqlLeft).Scan(&left); err != nil {
			return 0, err
		}
	}
	err = s.pool.QueryRow(ctx, sqlDrained, at, at.Add(time.Millisecond)).Scan(&perSecond)
	return perSecond, err
}

// startInstance starts an instance in a process of its own, and returns what ends it.
func startInstance(ctx context.Context, databaseURL string) (end func() error, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, program, "--serve="+databaseURL) //nolint:gosec // it is this program
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start an instance: %w", err)
	}
	return func() error {
		if err := in.Close(); err != nil {
			return err
		}
		return command.Wait()
	}, nil
}

// serve runs an instance until the standard input ends.
func serve(ctx context.Context, databaseURL string) error {
	log := logging.New(os.Stderr, slog.LevelError)
	c := app.Config{Host: "127.0.0.1", Database: app.DatabaseConfig{URL: databaseURL}}
	return servingWith(ctx, c, log, func(context.Context, string) error {
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	})
}

func writeMany(out io.Writer, all []Many) {
	if len(all) > 0 {
		fmt.Fprintln(out, "\nINSTANCES\truns/s\tp50 ms\tp99 ms\tmax ms\ttransactions/s\tidle transactions/s\tsessions\tbacklog, runs/s")
	}
	for _, m := range all {
		fmt.Fprintf(out, "%d\t%.0f\t%.2f\t%.2f\t%.1f\t%.1f\t%.1f\t%d\t%.0f\n", m.Instances, m.RunsPerSecond, m.P50, m.P99, m.Max,
			m.TransactionsPerSecond, m.IdleTransactions, m.Sessions, m.Drained)
	}
}
