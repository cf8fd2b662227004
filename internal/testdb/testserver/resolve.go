package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const connectTimeout = 10 * time.Second

// server is a running server.
type server struct {
	url     string
	from    string // where it comes from, to be said after "PostgreSQL 18.4 from"
	version string
	stop    func(context.Context) error
}

// getenv is os.Getenv, or that of a test.
type getenv func(name string) string

// provider is one way to get a server.
type provider struct {
	name  string
	start func(context.Context, getenv) (server, error)
}

// providers are tried in this order.
var providers = []provider{
	{name: "url", start: given},
	{name: "docker", start: container},
	{name: "installed", start: installed},
}

// errNotAsked is the error of a provider that the environment does not ask for. It is not worth a
// message.
var errNotAsked = errors.New("TEST_DATABASE_URL is not set")

// resolve starts a server with the provider that the environment forces, or else with the first one
// that works.
func resolve(ctx context.Context, env getenv, from []provider, say func(string)) (server, error) {
	if forced := env("TEST_DATABASE_PROVIDER"); forced != "" {
		var names []string
		for _, p := range from {
			if p.name == forced {
				s, err := start(ctx, env, p)
				if err != nil {
					return server{}, fmt.Errorf("TEST_DATABASE_PROVIDER=%s cannot be used: %w", forced, oneLine(err))
				}
				return s, nil
			}
			names = append(names, p.name)
		}
		return server{}, fmt.Errorf("TEST_DATABASE_PROVIDER=%s is none of %s", forced, strings.Join(names, ", "))
	}

	var failures []string
	for _, p := range from {
		s, err := start(ctx, env, p)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, errNotAsked):
			continue
		case p.name == "url":
			// Whoever names a server wants that server. Tests that pass on another one would
			// deceive.
			return server{}, fmt.Errorf("the server that TEST_DATABASE_URL names cannot be used: %w", oneLine(err))
		}
		say(fmt.Sprintf("not using %s: %v", p.name, oneLine(err)))
		failures = append(failures, p.name)
	}
	return server{}, fmt.Errorf("no PostgreSQL for tests: set TEST_DATABASE_URL, start Docker or install PostgreSQL 15 or newer "+
		"(tried %s, see stderr)", strings.Join(failures, ", "))
}

// start starts a provider's server and asks for its version, which shows that the server can be
// used.
func start(ctx context.Context, env getenv, p provider) (server, error) {
	s, err := p.start(ctx, env)
	if err != nil {
		return server{}, err
	}
	s.version, err = version(ctx, s.url)
	if err != nil {
		// The stop has a time limit of its own, because ctx may have ended.
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return server{}, errors.Join(err, s.stop(undo))
	}
	return s, nil
}

// given returns the server that the environment names. It is not ours to stop.
func given(_ context.Context, env getenv) (server, error) {
	address := env("TEST_DATABASE_URL")
	if address == "" {
		return server{}, errNotAsked
	}
	return server{url: address, from: "the server TEST_DATABASE_URL names", stop: func(context.Context) error { return nil }}, nil
}

func version(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	number, _, _ := strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ") // "15.18 (Debian 15.18-0+deb12u1)"
	return number, nil
}

// oneLine puts an error into the one line that testserver prints.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
