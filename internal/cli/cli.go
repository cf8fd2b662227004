// Package cli is the command line for those who use the service: a client of its contract. It knows
// no database.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"
)

// The exit codes. docs/cli.md and the help of the program say what they mean.
const (
	ExitDone = iota
	ExitFailed
	ExitDiffers
	ExitUsage
	ExitUnreachable
)

// Commands are the commands that ask a service.
type Commands struct {
	Jobs        jobsCmd        `cmd:"" group:"jobs" help:"List, read, pause, resume, start and delete jobs; apply those in files."`
	Runs        runsCmd        `cmd:"" group:"jobs" help:"List, read, watch, retry and cancel runs."`
	Events      followEvents   `cmd:"" group:"jobs" help:"Print what happens, until Ctrl-C."`
	Attention   attention      `cmd:"" group:"jobs" help:"Say what is wrong now, and why: jobs, queues and connections."`
	Upcoming    upcoming       `cmd:"" group:"jobs" help:"List when all jobs are due next, in the order of time."`
	Preview     preview        `cmd:"" group:"jobs" help:"Show when a schedule would be due."`
	Calendars   calendarsCmd   `cmd:"" group:"jobs" help:"List, read, apply, import and delete calendars, the days that jobs leave out."`
	Connections connectionsCmd `cmd:"" group:"jobs" help:"List, read, apply and delete connections, the services that jobs call."`
	Stats       showStats      `cmd:"" group:"jobs" help:"Count runs, and how late and how long they were, over time."`
	Queues      listQueues     `cmd:"" group:"admin" help:"List the queues that have work or workers."`
	Instances   listInstances  `cmd:"" group:"admin" help:"List the instances of the service."`
	Whoami      whoami         `cmd:"" group:"admin" help:"Show who the service takes you for, and what you may do."`
	Completion  completion     `cmd:"" group:"program" help:"Print what makes a shell complete commands and flags."`

	Crontab crontabCmd `cmd:"" group:"jobs" help:"Turn a crontab into jobs."`
	Schema  schemaCmd  `cmd:"" group:"program" help:"Print the JSON schema of files with jobs, for editors."`
}

// Description is what the help of the program says below its name.
const Description = `A job scheduler on PostgreSQL.

Commands that ask a service find it by --url, PUNCTUAL_URL, or a profile in a configuration file.
Run "punctual <command> --help" for the flags of a command.

Exit codes: 0 done, 1 failed, 2 there is a difference, 3 wrong usage, 4 the service is not reachable.`

// Groups are the groups of commands and flags in the help.
var Groups = []kong.Group{
	{Key: "jobs", Title: "Jobs and runs:"},
	{Key: "admin", Title: "The service, as its users see it:"},
	{Key: "serve", Title: "The service itself:"},
	{Key: "program", Title: "This program:"},
	{Key: "filter", Title: "Which ones:"},
	{Key: "output", Title: "Output:"},
	{Key: "service", Title: "Which service:"},
}

// ReadIDs is how ids at the command line are read.
func ReadIDs() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[uuid.UUID](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("id", &text); err != nil {
			return err
		}
		id, err := uuid.Parse(text)
		if err != nil {
			return fmt.Errorf("%q is not an id such as 01a21df4-eb40-7000-b15d-e0d85ad7ba02", text)
		}
		target.Set(reflect.ValueOf(id))
		return nil
	}))
}

// A usageError says that a command was called wrongly.
type usageError struct{ sentence string }

func (e *usageError) Error() string { return e.sentence }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// errDiffers says that there is a difference, which the output has shown already.
var errDiffers = errors.New("there is a difference")

// Report writes why a command has failed, for people, and returns the exit code.
func Report(w io.Writer, err error) (code int) {
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, errDiffers):
		return ExitDiffers
	}
	code = ExitFailed
	if wrong := (*usageError)(nil); errors.As(err, &wrong) {
		code = ExitUsage
	} else if away := (*unreachable)(nil); errors.As(err, &away) {
		code = ExitUnreachable
	}
	sentence := err.Error()
	if errors.Is(err, context.Canceled) {
		sentence = "interrupted"
	}
	fmt.Fprintln(w, "punctual: "+strings.TrimSpace(sentence))
	return code
}
