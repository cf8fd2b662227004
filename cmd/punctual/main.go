// Command punctual is the job scheduler service.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/joho/godotenv"

	"punctual/internal/app"
	"punctual/internal/cli"
	"punctual/internal/logging"
)

type commandLine struct {
	LogLevel slog.Level       `help:"The lowest level to log: debug, info, warn or error." default:"info" env:"LOG_LEVEL"`
	Version  kong.VersionFlag `help:"Print the version and exit."`

	Serve   serve    `cmd:"" group:"serve" help:"Run the service."`
	Migrate migrate  `cmd:"" group:"serve" help:"Apply, list or undo schema migrations. The service applies them when it starts."`
	Secrets rotation `cmd:"" group:"serve" help:"Generate a key for secrets, or encrypt all secrets with the first key of SECRET_KEYS."`

	cli.Commands `embed:""`

	Namespaces  namespacesCmd `cmd:"" group:"admin" help:"List, read, create, change, suspend, delete and move namespaces."`
	Keys        keysCmd       `cmd:"" group:"admin" help:"Create, list or revoke API keys, over the API or straight in the database."`
	Cells       cellsCmd      `cmd:"" group:"admin" help:"List and add cells: schemas of the database, each for some namespaces."`
	ShowVersion versionCmd    `cmd:"" group:"program" name:"version" help:"Print the version."`
}

func main() {
	app.TuneMemory()
	// A .env file is optional, but one that cannot be read is an error. The environment has
	// priority.
	if err := godotenv.Load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		// The error may quote a line of the file, and with it a password.
		refuse("the file .env cannot be read, or has a line that is not NAME=value")
	}
	var c commandLine
	parser := kong.Must(&c,
		kong.Name("punctual"), kong.Description(cli.Description), kong.ExplicitGroups(cli.Groups),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, NoAppDescFormat: true}),
		kong.Vars{"version": versionLine()}, kong.ShortUsageOnError(), cli.ReadIDs(),
		kong.Exit(func(code int) { os.Exit(min(code, 1) * cli.ExitUsage) }),
	)
	cli.Complete(parser)
	if len(os.Args) == 1 {
		printHelp(parser)
		os.Exit(cli.ExitUsage)
	}
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		parser.Stdout = os.Stderr // the standard output may lead to another command
	}
	parser.FatalIfErrorf(err)
	log := logging.New(os.Stderr, c.LogLevel)
	slog.SetDefault(log)

	command.BindTo(untilSignal(log), (*context.Context)(nil))
	command.Bind(log)
	command.Bind(cli.NewConsole())
	err = command.Run()
	switch {
	case errors.Is(err, app.ErrNoDatabase):
		refuse(err.Error())
	case err != nil && isLogged(command):
		log.Error("failed", "error", err)
		os.Exit(cli.ExitFailed)
	default:
		os.Exit(cli.Report(os.Stderr, err))
	}
}

// isLogged reports whether a command writes a log, as the service does. The others talk to a person
// or a script.
func isLogged(command *kong.Context) bool {
	top := command.Path[1].Node() // the first element is the program
	return top.Group != nil && top.Group.Key == "serve"
}

// refuse ends the process because of a wrong command line or configuration.
func refuse(sentence string) {
	fmt.Fprintln(os.Stderr, "punctual: "+sentence)
	os.Exit(cli.ExitUsage)
}

func printHelp(parser *kong.Kong) {
	if nothing, err := kong.Trace(parser, nil); err == nil {
		_ = nothing.PrintUsage(false) // an error means that nobody reads it
	}
}

func versionLine() string {
	return fmt.Sprintf("punctual %s %s %s/%s", app.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Fprintln(os.Stdout, versionLine())
	return err
}

// echoWithin is how long a further signal may be an echo of the first one. A terminal signals all
// processes that run in it, and programs such as npm and timeout pass their own signal on as well.
const echoWithin = time.Second

// untilSignal returns a context that ends with the first signal to stop. A second signal, unless it
// is an echo, ends the process at once.
func untilSignal(log *slog.Logger) context.Context {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		first := time.Now()
		for range signals {
			if time.Since(first) > echoWithin {
				break
			}
		}
		log.Warn("ended by a second signal; runs in progress were not given back")
		os.Exit(1)
	}()
	return ctx
}

type serve struct {
	app.Config `embed:""`
}

// Run runs the service until a signal.
func (s *serve) Run(ctx context.Context, log *slog.Logger) error {
	service, err := app.New(ctx, s.Config, log)
	if err != nil {
		return err
	}
	return service.Run(ctx)
}
