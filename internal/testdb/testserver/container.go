package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
)

const (
	defaultImage = "postgres:18-alpine"
	// daemonTimeout bounds how long a Docker daemon may take to answer. A daemon is local, so it
	// answers soon or is not there.
	daemonTimeout = 3 * time.Second
	// containerTimeout bounds the download of the image and the start.
	containerTimeout = 5 * time.Minute
)

// container starts a throwaway server in Docker.
func container(ctx context.Context, env getenv) (server, error) {
	// The library would start one more container that watches over ours. This process does that
	// instead.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return server{}, err
	}
	log.SetDefault(log.NewNoopLogger()) // we say ourselves what runs
	if err := reachDaemon(ctx); err != nil {
		return server{}, fmt.Errorf("no Docker daemon answers: %w", err)
	}

	image := cmp.Or(env("TEST_POSTGRES_IMAGE"), defaultImage)
	command := []string{"postgres"}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		command = append(command, "-c", name+"="+settings[name])
	}
	starting, cancel := context.WithTimeout(ctx, containerTimeout)
	defer cancel()
	c, err := postgres.Run(starting, image,
		// The port is published on all addresses of the machine, so the password has to be secret.
		postgres.WithPassword(rand.Text()),
		testcontainers.WithCmd(command...),
		postgres.BasicWaitStrategies(),
	)
	stop := func(ctx context.Context) error {
		if c == nil {
			return nil
		}
		return c.Terminate(ctx, testcontainers.StopTimeout(0)) // nothing in it is worth a shutdown
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return server{}, errors.Join(fmt.Errorf("image %s: %w", image, err), stop(undo))
	}
	address, err := c.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		return server{}, errors.Join(err, stop(context.WithoutCancel(ctx)))
	}
	return server{url: address, from: "Docker, image " + image, stop: stop}, nil
}

// reachDaemon returns an error if the Docker daemon does not answer. The library's own check has no
// time limit.
func reachDaemon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		provider, err := testcontainers.NewDockerProvider()
		if err == nil {
			err = errors.Join(provider.Health(ctx), provider.Close())
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
