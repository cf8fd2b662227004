package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/logging"
)

const (
	// apiClients is how many connections ask at a time, each for one answer after the other. It is
	// more than the service has connections to the database.
	apiClients = 16
	// apiSlice is how long one contestant is measured before the next one is.
	apiSlice = 200 * time.Millisecond
	// apiJobs is how many jobs there are to be read.
	apiJobs = 1000

	minOfBare    = 0.60 // of the requests per second of the bare handler
	minOfKeyless = 0.90 // of the requests per second without a key
)

// The names of the contestants.
const (
	bareAPIName = "bare chi and pgx"
	keylessName = "service, no keys"
	keyedName   = "service, a key"
)

// apiContestant is a server that is asked.
type apiContestant struct {
	name, url string
	key       string // empty: it needs none
}

// apiOperation is a request that all contestants answer.
type apiOperation struct {
	name   string
	status int
	// request returns the nth request, with a key if there is one.
	request func(n int, key string) []byte
}

// api measures how many requests the service answers, next to a bare handler that executes the same
// statements.
func (b *bench) api(ctx context.Context) (err error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// The service logs each request, as it does unless told otherwise.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	bare, err := newBareAPI(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Close()) }()
	if b.CPUProfile != "" {
		stop, err := profile(b.CPUProfile)
		if err != nil {
			return err
		}
		defer stop()
	}
	c := app.Config{Host: "127.0.0.1", Database: app.DatabaseConfig{URL: s.url}}
	log := logging.New(null, slog.LevelInfo)
	return servingWith(ctx, c, log, func(ctx context.Context, url string) error {
		_, key, err := keys.New(keys.Config{Pool: s.pool}).Create(ctx, access.Anonymous(access.DefaultNamespace), keys.Request{
			Description: "bench", Scopes: []access.Scope{access.JobsRead, access.JobsWrite},
		})
		if err != nil {
			return fmt.Errorf("make a key: %w", err)
		}
		c.Auth = app.AuthRequired
		return servingWith(ctx, c, log, func(ctx context.Context, urlWithKeys string) error {
			return b.compareAPI(ctx, []apiContestant{
				{bareAPIName, bare.url, ""}, {keylessName, url, ""}, {keyedName, urlWithKeys, key.Reveal()},
			})
		})
	})
}

// compareAPI measures the contestants by turns, in short slices, because the machine's speed
// changes.
func (b *bench) compareAPI(ctx context.Context, contestants []apiContestant) error {
	ids, err := createdJobs(ctx, contestants, apiJobs)
	if err != nil {
		return err
	}
	for _, o := range []apiOperation{
		{"GET /jobs/{id}", 200, func(n int, key string) []byte { return getRequest(ids[n%len(ids)], key) }},
		{"POST /jobs", 201, func(_ int, key string) []byte { return createRequest(key) }},
	} {
		measured := map[string][]Requests{}
		rounds := max(1, int(b.APIFor/apiSlice))
		for round := range rounds + 1 {
			for i := range contestants {
				c := contestants[(round+i)%len(contestants)]
				r, err := measureAPI(ctx, c, o)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", o.name, c.name, err)
				}
				if round > 0 { // the first one only warms up
					measured[c.name] = append(measured[c.name], r)
				}
			}
		}
		for _, c := range contestants {
			b.report.API = append(b.report.API, medianRequests(measured[c.name]))
		}
		b.report.checkAPI(o.name, measured)
	}
	return nil
}

// createdJobs lets the contestants create jobs, and returns their ids.
func createdJobs(ctx context.Context, contestants []apiContestant, n int) (ids []string, err error) {
	for i, c := range contestants {
		caller, err := newCaller(ctx, c.url)
		if err != nil {
			return nil, err
		}
		for range n / len(contestants) {
			answer, err := caller.call(createRequest(c.key), 201)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", c.name, err), caller.Close())
			}
			ids = append(ids, idIn(answer))
		}
		if err := caller.Close(); err != nil {
			return nil, err
		}
		// What is compared must be the same.
		if i > 0 {
			if err := sameAnswers(ctx, contestants[0], c, ids[len(ids)-1]); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// measureAPI asks one contestant for a slice of time.
func measureAPI(ctx context.Context, c apiContestant, o apiOperation) (r Requests, err error) {
	var took [apiClients][]time.Duration
	callers := make([]*caller, apiClients)
	defer func() {
		for _, caller := range callers {
			if caller != nil {
				err = errors.Join(err, caller.Close())
			}
		}
	}()
	for i := range callers {
		if callers[i], err = newCaller(ctx, c.url); err != nil {
			return r, err
		}
		if _, err := callers[i].call(o.request(i, c.key), o.status); err != nil { // so that the connection stands
			return r, err
		}
	}
	var group errgroup.Group
	cpu, begun := cpuTime(), time.Now()
	for i, caller := range callers {
		group.Go(func() error {
			for n := i; ; n += apiClients {
				asked := time.Now()
				if asked.Sub(begun) >= apiSlice || ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if _, err := caller.call(o.request(n, c.key), o.status); err != nil {
					return err
				}
				took[i] = append(took[i], time.Since(asked))
			}
		})
	}
	if err := group.Wait(); err != nil {
		return r, err
	}
	elapsed, used := time.Since(begun), cpuTime()-cpu
	all := slices.Concat(took[:]...)
	slices.Sort(all)
	return Requests{
		Operation: o.name, Name: c.name, RequestsPerSecond: float64(len(all)) / elapsed.Seconds(),
		P50: ms(all[len(all)/2]), P99: ms(all[len(all)*99/100]), CPUPerRequest: float64(used.Microseconds()) / float64(len(all)),
	}, nil
}
