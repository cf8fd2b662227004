package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// riverDrain measures how fast River works off the same number of jobs.
func (b *bench) riverDrain(ctx context.Context) (t Throughput, err error) {
	if err := b.admin(ctx, "checkpoint"); err != nil { // as in filled
		return t, fmt.Errorf("checkpoint: %w", err)
	}
	var answer struct{ JobsPerSecond, WALBytesPerJob float64 }
	if err := b.river(ctx, &answer, "drain", "--jobs="+strconv.Itoa(b.Jobs)); err != nil {
		return t, err
	}
	return Throughput{RunsPerSecond: answer.JobsPerSecond, WALBytesPerRun: answer.WALBytesPerJob}, nil
}

// river runs the program that uses River, in a new database, and decodes the JSON that it prints.
func (b *bench) river(ctx context.Context, answer any, args ...string) (err error) {
	address, drop, err := b.empty(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, b.River, args...) //nolint:gosec // the program is the operator's
	cmd.Env = append(os.Environ(), "DATABASE_URL="+address)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", b.River, args[0], err)
	}
	if err := json.Unmarshal(out.Bytes(), answer); err != nil {
		return fmt.Errorf("decode the output of %s: %w", b.River, err)
	}
	return nil
}
