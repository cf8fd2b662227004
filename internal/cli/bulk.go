package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
)

// changeFlags are the flags of each command that changes many things.
type changeFlags struct {
	DryRun bool `help:"Say what would be changed, and change nothing."`
	Yes    bool `short:"y" help:"Do not ask before more than one is changed. Needed without a terminal."`
}

// outcome is what a request of a bulk change answers, whether of jobs or of runs.
type outcome[T any] struct {
	Items     []T `json:"items"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	// Matched is how many are left, of jobs; of runs it is not known.
	Matched    int     `json:"matched"`
	DryRun     bool    `json:"dryRun"`
	PauseID    *string `json:"pauseId"`
	NextCursor *string `json:"nextCursor"`
}

// step does the next part of a bulk change: of the part with that number, from the cursor on.
type step[T any] func(ctx context.Context, part int, cursor *string, isDryRun bool) (outcome[T], error)

// errRefusedInPart says that some things could not be changed. The output has named them.
var errRefusedInPart = errors.New("not everything was done")

// bulk is a bulk change of jobs or runs.
type bulk[T any] struct {
	// verb is what is done, and thing to what, for people: "pause" and "job".
	verb, thing string
	// parts is how many selectors the change has.
	parts int
	step  step[T]
	// isOne says that the user has named one thing, so that there is nothing to ask.
	isOne bool
	// after is called with what has been done, after each request.
	after func(outcome[T])
}

// run asks, does the change to its end, and returns what became of everything.
func (b bulk[T]) run(ctx context.Context, s *Session, f changeFlags) (outcome[T], error) {
	if f.DryRun {
		return b.all(ctx, s, true)
	}
	if !f.Yes && !b.isOne {
		planned, err := b.all(ctx, s, true)
		if err != nil {
			return planned, err
		}
		if planned.Changed > 1 {
			if err := s.confirm(ctx, b.verb+" "+count(planned.Changed, b.thing)); err != nil {
				return outcome[T]{}, err
			}
		}
	}
	return b.all(ctx, s, false)
}

// all sends requests until nothing is left.
func (b bulk[T]) all(ctx context.Context, s *Session, isDryRun bool) (total outcome[T], err error) {
	total.DryRun = isDryRun
	bar := (*progressbar.ProgressBar)(nil)
	for part := range b.parts {
		for cursor := (*string)(nil); ; {
			did, err := b.step(ctx, part, cursor, isDryRun)
			if err != nil && len(total.Items) > 0 {
				err = fmt.Errorf("after %s: %w", count(len(total.Items), b.thing), err)
			}
			if err != nil {
				return total, err
			}
			if bar == nil && did.NextCursor != nil && s.ErrIsTerminal {
				bar = progressbar.NewOptions(barLength(did.Matched), progressbar.OptionSetWriter(s.Err),
					progressbar.OptionSetDescription(b.verb), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
			}
			total.add(did)
			if bar != nil {
				_ = bar.Add(len(did.Items)) // a bar that cannot be drawn is no failure
			}
			if b.after != nil {
				b.after(total)
			}
			if cursor = did.NextCursor; cursor == nil {
				break
			}
		}
	}
	if bar != nil {
		_ = bar.Finish()
	}
	return total, nil
}

// barLength returns how long a progress bar is: -1 if nobody knows. The API counts up to 10 000.
func barLength(matched int) int {
	if matched == 0 || matched >= 10_000 {
		return -1
	}
	return matched
}

func (c *outcome[T]) add(did outcome[T]) {
	c.Items = append(c.Items, did.Items...)
	c.Changed += did.Changed
	c.Unchanged += did.Unchanged
	c.Failed += did.Failed
	if did.PauseID != nil {
		c.PauseID = did.PauseID
	}
}

// confirm asks whether to do something, of which question is the first half.
func (s *Session) confirm(ctx context.Context, question string) error {
	if s.Namespace != "" {
		question += " in the namespace " + s.Namespace
	}
	if !s.InIsTerminal {
		return usage("add --yes to %s: there is no terminal on which to ask you", question)
	}
	fmt.Fprintf(s.Err, "%s%s? [y/N] ", strings.ToUpper(question[:1]), question[1:])
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(s.In).ReadString('\n') // the end of the input is no yes
		typed <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done(): // Ctrl-C
		fmt.Fprintln(s.Err)
	case word := <-typed:
		if word == "y" || word == "yes" {
			return nil
		}
	}
	return errors.New("nothing was done")
}

// count says how many things there are.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// sum returns what became of a change, for people.
func (c outcome[T]) sum(past, thing string) string {
	text := fmt.Sprintf("%s: %s.", past, count(c.Changed, thing))
	if c.DryRun {
		text = fmt.Sprintf("Would be %s: %s. Nothing was done.", strings.ToLower(past), count(c.Changed, thing))
	}
	if c.Unchanged > 0 {
		text += fmt.Sprintf(" Nothing to do: %s.", count(c.Unchanged, thing))
	}
	if c.Failed > 0 {
		text += fmt.Sprintf(" Failed: %s.", count(c.Failed, thing))
	}
	return text
}

// report prints what became of a change. For people, it lists the items that listed picks.
func report[T any](s *Session, all outcome[T], t table[T], past, thing string, listed, isNamed func(T) bool) error {
	switch s.Output {
	case outJSON, outYAML:
		if all.Items == nil {
			all.Items = []T{}
		}
		if err := s.object(bulkResult[T]{all.Items, all.Changed, all.Unchanged, all.Failed, all.DryRun, all.PauseID}); err != nil {
			return err
		}
	case outName:
		if err := t.print(s, pick(all.Items, isNamed)); err != nil {
			return err
		}
	default:
		if shown := pick(all.Items, listed); len(shown) > 0 {
			if err := t.write(s.Console, shown); err != nil {
				return err
			}
		}
		fmt.Fprintln(s.Out, all.sum(past, thing))
	}
	if all.Failed > 0 {
		return errRefusedInPart
	}
	return nil
}

// bulkResult is how a bulk change is written as JSON and YAML: the API's answers as one.
type bulkResult[T any] struct {
	Items     []T     `json:"items"`
	Changed   int     `json:"changed"`
	Unchanged int     `json:"unchanged"`
	Failed    int     `json:"failed"`
	DryRun    bool    `json:"dryRun"`
	PauseID   *string `json:"pauseId,omitempty"`
}

func pick[T any](all []T, want func(T) bool) []T {
	return slices.Collect(func(yield func(T) bool) {
		for _, one := range all {
			if want(one) && !yield(one) {
				return
			}
		}
	})
}

// missing returns an error that names what the user has named and nobody has found.
func missing(thing string, names []string, isFound func(string) bool) error {
	var lost []string
	for _, name := range names {
		if !isFound(name) {
			lost = append(lost, name)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return noSuch(thing, lost...)
}

func noSuch(thing string, names ...string) error {
	return fmt.Errorf("there is no such %s: %s", thing, strings.Join(names, ", "))
}
