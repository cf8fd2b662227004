// Command testserver starts a PostgreSQL server for tests, and ends it after them.
//
//	go run ./internal/testdb/testserver -- go test ./...
//
// runs a command with TEST_DATABASE_URL set, so that all packages share one server; it exits with 0 if the command does.
// Without a command it prints the URL and serves until its standard input ends, which is how package testdb uses it.
//
// It takes the first of these that works; TEST_DATABASE_PROVIDER names the only one to try:
//
//	url        the server TEST_DATABASE_URL names, whose user may create databases
//	docker     a container of the image TEST_POSTGRES_IMAGE
//	installed  PostgreSQL of this machine: PUNCTUAL_POSTGRES_BIN, or the newest found; fetched when there is none
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"punctual/internal/testdb/internal/launch"
)

// stopTimeout is how long the server may take to stop.
const stopTimeout = 20 * time.Second

func main() {
	flag.Parse() // takes the "--" away
	if flag.NArg() > 0 {
		os.Exit(around(flag.Arg(0), flag.Args()[1:]))
	}
	os.Exit(serve())
}

// serve runs a server until standard input ends.
func serve() int {
	// Nobody may be left to read what we say, and stopping the server matters more.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	s, err := resolve(ctx, os.Getenv, providers, say)
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	say(fmt.Sprintf("PostgreSQL %s from %s", s.version, s.from))
	fmt.Fprintln(os.Stdout, s.url)
	<-ctx.Done()

	ctx, cancel = context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.stop(ctx); err != nil {
		say("stop PostgreSQL: " + err.Error())
		return 1
	}
	return 0
}

// around runs a command while another process of this program serves: that one lives to clean up when we are killed.
func around(name string, args []string) int {
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	server, err := launch.Start(exec.CommandContext(context.Background(), self)) //nolint:gosec // it is us
	if err != nil {
		return fail(err)
	}
	code := run(name, args, append(os.Environ(), "TEST_DATABASE_URL="+server.URL, "TEST_DATABASE_PROVIDER=url"))
	if err := server.Stop(); err != nil {
		return fail(fmt.Errorf("testserver: %w", err))
	}
	return code
}

// run runs a command, which gets our signals, and returns its exit code.
func run(name string, args, env []string) int {
	cmd := exec.CommandContext(context.Background(), name, args...) //nolint:gosec // what the caller typed
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // fails only when it has ended
		}
	}()
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return fail(err) // ended by a signal
}

func say(sentence string) { fmt.Fprintln(os.Stderr, "testdb: "+sentence) }

func fail(err error) int {
	say(err.Error())
	return 1
}
