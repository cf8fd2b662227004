package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

const (
	// maxSlowLateness bounds the p99 of the lateness of runs while slow clients hold connections, in
	// milliseconds.
	maxSlowLateness = 10
)

// slowClients measures how late an instance executes while clients hold thousands of idle and of
// slow connections to it, and how late without them.
func (b *bench) slowClients(ctx context.Context) (err error) {
	s, err := b.firing(ctx, b.LatenessJobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var alone, beside Lateness
	var held Held
	err = serving(ctx, s, func(ctx context.Context, url string) error {
		if err := pause(ctx, b.Settle); err != nil {
			return err
		}
		if alone, err = b.latenessDuring(ctx, s); err != nil {
			return err
		}
		holders, err := startHolders(ctx, url, b.IdleConnections, b.SlowConnections, 0)
		if err != nil {
			return err
		}
		defer holders.kill()
		if err := pause(ctx, b.Settle); err != nil {
			return err
		}
		if beside, err = b.latenessDuring(ctx, s); err != nil {
			return err
		}
		held, err = holders.stop()
		return err
	})
	if err != nil {
		return err
	}
	alone.Name = fmt.Sprintf("an instance with its API, %d/s", b.FiresPerSecond)
	beside.Name = fmt.Sprintf("the same, %d idle and %d slow connections", held.Idle, held.Slow)
	b.report.Lateness = append(b.report.Lateness, alone, beside)
	b.report.atLeast("idle connections that were held", float64(held.Idle), float64(b.IdleConnections))
	b.report.atLeast("slow connections that were held", float64(held.Slow), float64(b.SlowConnections))
	b.report.atMost("slow clients, lateness p99, ms", beside.P99, maxSlowLateness)
	b.report.atMost("slow clients, runs left behind", float64(beside.Left), 0)
	return nil
}

// latenessDuring measures the lateness of the runs of a service that is executing.
func (b *bench) latenessDuring(ctx context.Context, s *scratch) (l Lateness, err error) {
	var from, to time.Time
	cpu := cpuTime()
	err = s.pool.QueryRow(ctx, sqlNow).Scan(&from)
	err = errors.Join(err, pause(ctx, b.SlowFor))
	cpu = cpuTime() - cpu
	err = errors.Join(err, s.pool.QueryRow(ctx, sqlNow).Scan(&to))
	if err = errors.Join(err, pause(ctx, time.Second)); err != nil { // so that runs in flight end
		return l, err
	}
	if err := s.pool.QueryRow(ctx, sqlLateness, from, to).Scan(&l.Runs, &l.P50, &l.P99, &l.Max, &l.Min); err != nil {
		return l, err
	}
	if err := s.pool.QueryRow(ctx, sqlLeftOf, to).Scan(&l.Left); err != nil {
		return l, err
	}
	if l.Runs == 0 {
		return l, errors.New("no run was executed")
	}
	l.RunsPerSecond = float64(l.Runs) / to.Sub(from).Seconds()
	l.CPUPerRun = float64(cpu.Microseconds()) / float64(l.Runs)
	return l, nil
}

// holders is a process of clients. They are not in this process, because both ends of all
// connections may be more files than one process may open.
type holders struct {
	command *exec.Cmd
	answers *json.Decoder
	end     func() error
}

// startHolders starts the clients, and waits until they hold their connections.
func startHolders(ctx context.Context, url string, idle, slow, workers int) (*holders, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &holders{command: exec.CommandContext(ctx, program, //nolint:gosec // it is this program
		"--hold="+url, "--idle-connections="+strconv.Itoa(idle), "--slow-connections="+strconv.Itoa(slow),
		"--waiting-workers="+strconv.Itoa(workers))}
	h.command.Stderr = os.Stderr
	in, err := h.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	h.end = in.Close
	out, err := h.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.answers = json.NewDecoder(out)
	if err := h.command.Start(); err != nil {
		return nil, fmt.Errorf("start the clients: %w", err)
	}
	var ready Held
	if err := h.answers.Decode(&ready); err != nil {
		h.kill()
		return nil, fmt.Errorf("the clients did not open their connections: %w", err)
	}
	return h, nil
}

// stop ends the clients, and returns what they held until then.
func (h *holders) stop() (held Held, err error) {
	if err := h.end(); err != nil {
		return held, err
	}
	if err := h.answers.Decode(&held); err != nil {
		return held, fmt.Errorf("the clients did not tell what they held: %w", err)
	}
	return held, h.command.Wait()
}

// kill ends the clients if they have not ended.
func (h *holders) kill() {
	if h.command.ProcessState == nil {
		_ = h.command.Process.Kill() // it may have ended meanwhile
		_ = h.command.Wait()
	}
}
