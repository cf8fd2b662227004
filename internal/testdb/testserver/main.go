// Command testserver starts a PostgreSQL server for tests, and stops it after them.
//
//	go run ./internal/testdb/testserver -- go test ./...
//
// runs a command with TEST_DATABASE_URL set, so that all packages share one server, and lists the
// tests that were skipped because the machine lacks a program. It exits with the command's code.
// Without a command it prints the URL and serves until its standard input ends; package testdb uses
// it in this way.
//
// It uses the first of these that works. TEST_DATABASE_PROVIDER names the only one to try:
//
//	url        the server that TEST_DATABASE_URL names; its user has to be able to create databases
//	docker     a container of the image TEST_POSTGRES_IMAGE
//	installed  this machine's PostgreSQL: PUNCTUAL_POSTGRES_BIN, or the newest one that is installed,
//	           or one that is fetched
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"punctual/internal/testdb/internal/launch"
	"punctual/internal/testdb/need"
)

// stopTimeout bounds how long the server may take to stop.
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
	// A write to a closed pipe must not end us before the server has stopped.
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

// around runs a command while another process of this program serves. That process survives us if
// we are killed, and cleans up.
func around(name string, args []string) int {
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	skipped, err := os.CreateTemp("", "punctual-skipped-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.Remove(skipped.Name()) }()
	server, err := launch.Start(exec.CommandContext(context.Background(), self)) //nolint:gosec // it is us
	if err != nil {
		return fail(err)
	}
	code := run(name, args, append(os.Environ(),
		"TEST_DATABASE_URL="+server.URL, "TEST_DATABASE_PROVIDER=url", need.SkippedFile+"="+skipped.Name()))
	if err := server.Stop(); err != nil {
		return fail(fmt.Errorf("testserver: %w", err))
	}
	if list, err := io.ReadAll(skipped); err != nil {
		return fail(err)
	} else if len(list) > 0 {
		say("skipped, because this machine lacks a program:\n" + strings.TrimSpace(string(list)))
	}
	return code
}

// run runs a command, passes our signals on to it, and returns its exit code.
func run(name string, args, env []string) int {
	cmd := exec.CommandContext(context.Background(), name, args...) //nolint:gosec // the caller typed it
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
