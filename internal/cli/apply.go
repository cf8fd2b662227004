package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"punctual/gen/client"
)

type applyJobs struct {
	Globals   `embed:""`
	fileFlags `embed:""`
	DryRun    bool `help:"Only say what would happen."`
	Yes       bool `short:"y" help:"Delete without asking."`
}

// Run makes jobs be as files say.
func (c *applyJobs) Run(ctx context.Context, s *Session) error {
	d, err := c.read(s.Console)
	if err != nil {
		return err
	}
	if c.Prune && !c.DryRun && !c.Yes {
		would, err := d.send(ctx, s, true)
		if err != nil {
			return err
		}
		if would.Pruned > 0 {
			writeChanges(s.Err, would, false)
			if err := s.confirm(ctx, "delete "+count(int(would.Pruned), "job")); err != nil {
				return err
			}
		}
	}
	applied, err := d.send(ctx, s, c.DryRun)
	if err != nil {
		return err
	}
	switch s.Output {
	case outJSON, outYAML:
		return s.object(applied)
	case outName:
		for _, job := range applied.Items {
			if job.Result != client.AppliedJobResultUNCHANGED {
				fmt.Fprintln(s.Out, job.Key)
			}
		}
		return nil
	}
	writeChanges(s.Out, applied, false)
	line := summary(applied)
	if applied.DryRun {
		line += " (a dry run: nothing has happened)"
	}
	_, err = fmt.Fprintln(s.Out, line)
	return err
}

type diffJobs struct {
	Globals   `embed:""`
	fileFlags `embed:""`
}

// Run says what apply would do.
func (c *diffJobs) Run(ctx context.Context, s *Session) error {
	d, err := c.read(s.Console)
	if err != nil {
		return err
	}
	would, err := d.send(ctx, s, true)
	if err != nil {
		return err
	}
	switch s.Output {
	case outJSON, outYAML:
		err = s.object(would)
	case outName:
		for _, job := range would.Items {
			if job.Result != client.AppliedJobResultUNCHANGED {
				fmt.Fprintln(s.Out, job.Key)
			}
		}
	default:
		writeChanges(s.Out, would, true)
		_, err = fmt.Fprintln(s.Out, summary(would))
	}
	if err == nil && would.Created+would.Changed+would.Pruned > 0 {
		return errDiffers
	}
	return err
}

// summary says in a line what became of how many jobs, or would become of them.
func summary(a client.JobsApplied) string {
	return fmt.Sprintf("%s: %d created, %d changed, %d unchanged, %d deleted",
		count(len(a.Items), "job"), a.Created, a.Changed, a.Unchanged, a.Pruned)
}

// results are the words and the signs for what became of a job.
var results = map[client.AppliedJobResult][2]string{
	client.AppliedJobResultCREATED: {"created", "+"},
	client.AppliedJobResultCHANGED: {"changed", "~"},
	client.AppliedJobResultPRUNED:  {"deleted", "-"},
}

// writeChanges writes a line for each job that is not unchanged, and the fields that differ.
func writeChanges(out io.Writer, a client.JobsApplied, isDiff bool) {
	for _, job := range a.Items {
		result, isShown := results[job.Result]
		if !isShown {
			continue
		}
		if isDiff {
			fmt.Fprintf(out, "%s %s\n", result[1], job.Key)
			for _, field := range job.Fields {
				fmt.Fprintf(out, "    %s\n", change(field, job.Result))
			}
			continue
		}
		var names []string
		for _, field := range job.Fields {
			names = append(names, field.Field)
		}
		line := result[0] + " " + job.Key
		if job.Result == client.AppliedJobResultCHANGED && len(names) > 0 {
			line += ": " + strings.Join(names, ", ")
		}
		fmt.Fprintln(out, line)
	}
}

// change writes a field that differs.
func change(f client.FieldChange, result client.AppliedJobResult) string {
	if f.Field == "targetSecrets" && string(f.From) == string(f.To) {
		return "a secret of the target has another value"
	}
	if result == client.AppliedJobResultCREATED {
		return plain(fmt.Sprintf("%s: %s", f.Field, f.To))
	}
	return plain(fmt.Sprintf("%s: %s -> %s", f.Field, f.From, f.To))
}
