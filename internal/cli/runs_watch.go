package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/client"
)

type watchRuns struct {
	Globals   `embed:""`
	runFilter `embed:""`
	IDs       []uuid.UUID `arg:"" optional:"" name:"run" help:"The ids of runs to wait for. The exit code is 1 if one of them does not succeed."`
}

// seen is what a watch has printed of a run. An ended run does not change.
type seen struct {
	status  client.RunStatus
	attempt int32
	due     time.Time
}

// watch follows runs.
type watch struct {
	*Session
	known map[uuid.UUID]seen
}

// Run follows runs.
func (c *watchRuns) Run(ctx context.Context, s *Session) error {
	w := watch{s, map[uuid.UUID]seen{}}
	if len(c.IDs) > 0 {
		return w.await(ctx, c.IDs)
	}
	by, err := c.selector(ctx, s)
	if err != nil {
		return err
	}
	isFirst := by.From == nil
	if isFirst {
		by.From = new(time.Now().Add(-watchFrom))
	}
	for {
		all, _, err := walk[client.Run](ctx, 0, s.readerOf(by))
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Ctrl-C is how watching ends
		}
		if err != nil {
			return err
		}
		slices.Reverse(all)
		for _, run := range all {
			if err := w.show(run); err != nil {
				return err
			}
		}
		// Runs become visible when they are due. Those that are open may be older.
		by.From = new(w.oldest(time.Now().Add(-watchFrom)))
		if !sleep(ctx, watchEvery) {
			return nil
		}
	}
}

// oldest returns the instant of the oldest run that is open, or before if none is older, and
// forgets the runs that nobody will ask for again.
func (w watch) oldest(before time.Time) time.Time {
	for _, run := range w.known {
		if run.due.Before(before) && isOpen(client.Run{Status: run.status}) {
			before = run.due
		}
	}
	for id, run := range w.known {
		if run.due.Before(before) {
			delete(w.known, id)
		}
	}
	return before
}

// await follows runs until all of them have ended.
func (w watch) await(ctx context.Context, ids []uuid.UUID) error {
	var failed bool
	for len(ids) > 0 {
		var open []uuid.UUID
		for _, id := range ids {
			run, err := answer[client.Run](w.GetRun(ctx, id))
			if err != nil {
				return err
			}
			if err := w.show(run); err != nil {
				return err
			}
			switch {
			case isOpen(run):
				open = append(open, id)
			case run.Status != client.RunStatusSUCCEEDED:
				failed = true
			}
		}
		if ids = open; len(ids) > 0 && !sleep(ctx, watchEvery) {
			return ctx.Err()
		}
	}
	if failed {
		return errors.New("not all runs have succeeded")
	}
	return nil
}

// show prints a run that is new or has changed.
func (w watch) show(run client.Run) error {
	now := seen{run.Status, run.Attempt, run.ScheduledFor}
	if w.known[run.Id] == now {
		return nil
	}
	w.known[run.Id] = now
	switch w.Output {
	case outJSON: // a line for each, since the list has no end
		return json.NewEncoder(w.Out).Encode(run)
	case outYAML:
		if _, err := fmt.Fprintln(w.Out, "---"); err != nil {
			return err
		}
		return w.object(run)
	case outName:
		_, err := fmt.Fprintln(w.Out, run.Id)
		return err
	default:
		_, err := fmt.Fprintf(w.Out, "%s  %s  %s  %s  attempt %d  %s\n", time.Now().UTC().Format(time.RFC3339), run.Id,
			painter(w.hasColor())(fmt.Sprintf("%-9s", run.Status)), plain(runJob(run)), run.Attempt, plain(whyRun(run)))
		return err
	}
}

// sleep waits, and reports whether the context goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
