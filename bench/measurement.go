package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"
)

// measurement holds the counters at its beginning.
type measurement struct {
	s      *scratch
	began  time.Time
	wal    int64
	memory runtime.MemStats
	cpu    time.Duration
}

func (s *scratch) begin(ctx context.Context) (m measurement, err error) {
	m.s = s
	runtime.GC()
	if m.wal, err = s.walPosition(ctx); err != nil {
		return m, err
	}
	s.counter.take()
	runtime.ReadMemStats(&m.memory)
	m.cpu = cpuTime()
	m.began = time.Now()
	return m, nil
}

// end returns what n runs have cost. It returns an error unless all of them are stored.
func (m measurement) end(ctx context.Context, n int) (t Throughput, err error) {
	took, cpu := time.Since(m.began), cpuTime()-m.cpu
	statements := m.s.counter.take()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	wal, err := m.s.walPosition(ctx)
	if err != nil {
		return t, err
	}
	var runs, left int
	if err := m.s.pool.QueryRow(ctx, sqlRuns).Scan(&runs); err != nil {
		return t, err
	}
	if err := m.s.pool.QueryRow(ctx, sqlLeft).Scan(&left); err != nil {
		return t, err
	}
	if runs != n || left != 0 {
		return t, fmt.Errorf("%d jobs were due, %d runs are stored, %d rows are still due", n, runs, left)
	}
	each := 1 / float64(n)
	return Throughput{
		RunsPerSecond:     float64(n) / took.Seconds(),
		WALBytesPerRun:    float64(wal-m.wal) * each,
		AllocationsPerRun: float64(memory.Mallocs-m.memory.Mallocs) * each,
		AllocatedPerRun:   float64(memory.TotalAlloc-m.memory.TotalAlloc) * each,
		CPUPerRun:         float64(cpu.Microseconds()) * each,
		Statements:        statements,
	}, nil
}

// cpuTime returns the CPU time that this process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // this system does not know
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// profile writes a CPU profile to path until stop is called. It overwrites an older file.
func profile(path string) (stop func(), err error) {
	file, err := os.Create(path) //nolint:gosec // the operator chooses the path
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close() // an incomplete profile is no loss
	}, nil
}
