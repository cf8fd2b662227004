package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"punctual/internal/app"
	"punctual/internal/logging"
)

const (
	// applySize is how many jobs a request has.
	applySize = 1000
	// applyClients is how many connections send lists at a time.
	applyClients = 2

	minOfLists = 20_000 // jobs per second, of each kind of list
)

// Stored says how fast jobs were stored, in the round of median speed.
type Stored struct {
	Name          string  `json:"name"`
	JobsPerSecond float64 `json:"jobsPerSecond"`
	Slowest       float64 `json:"slowest"`
	Fastest       float64 `json:"fastest"`
	CPUPerJob     float64 `json:"cpuMicrosecondsPerJob"` // of this process, with the one that asks
	// IsOfLists says that they came in lists.
	IsOfLists bool `json:"isOfLists"`
}

// storing is one way to store jobs.
type storing struct {
	Stored
	clients, status int
	// request returns the nth request of a round, of those that store applyJobs jobs.
	request func(round, n int) []byte
	perCall int
}

// apply measures how fast jobs are stored one by one, and in lists.
func (b *bench) apply(ctx context.Context) (err error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	if b.CPUProfile != "" {
		stop, err := profile(b.CPUProfile)
		if err != nil {
			return err
		}
		defer stop()
	}
	all := []storing{
		{Stored{Name: "POST /jobs"}, apiClients, 201, func(round, n int) []byte {
			return post("/api/v1/jobs", definition(nil, "single", round, n))
		}, 1},
		{Stored{Name: "POST /jobs/batch", IsOfLists: true}, applyClients, 201, func(round, n int) []byte {
			return post("/api/v1/jobs/batch", definitions("jobs", "batch", round, n))
		}, applySize},
		{Stored{Name: "POST /jobs/apply, new", IsOfLists: true}, applyClients, 200, func(round, n int) []byte {
			return post("/api/v1/jobs/apply", definitions("definitions", "apply", round, n))
		}, applySize},
		{Stored{Name: "POST /jobs/apply, unchanged", IsOfLists: true}, applyClients, 200, func(_, n int) []byte {
			return post("/api/v1/jobs/apply", definitions("definitions", "apply", 0, n))
		}, applySize},
	}
	c := app.Config{Host: "127.0.0.1", Database: app.DatabaseConfig{URL: s.url}}
	return servingWith(ctx, c, logging.New(null, slog.LevelInfo), func(ctx context.Context, url string) error {
		measured := make([][]Stored, len(all))
		for round := range b.Rounds + 1 {
			for i, way := range all {
				r, err := b.store(ctx, url, way, round)
				if err != nil {
					return fmt.Errorf("%s: %w", way.Name, err)
				}
				if round > 0 { // the first one only warms up
					measured[i] = append(measured[i], r)
				}
			}
		}
		for _, rounds := range measured {
			r := medianStored(rounds)
			b.report.Stored = append(b.report.Stored, r)
			if r.IsOfLists {
				b.report.atLeast(r.Name+", jobs/s", r.JobsPerSecond, minOfLists)
			}
		}
		return nil
	})
}

// store stores jobs in one way.
func (b *bench) store(ctx context.Context, url string, way storing, round int) (r Stored, err error) {
	requests := make([][]byte, b.ApplyJobs/way.perCall)
	for n := range requests {
		requests[n] = way.request(round, n)
	}
	var group errgroup.Group
	cpu, begun := cpuTime(), time.Now()
	for i := range way.clients {
		group.Go(func() error {
			caller, err := newCaller(ctx, url)
			if err != nil {
				return err
			}
			for n := i; n < len(requests) && err == nil; n += way.clients {
				_, err = caller.call(requests[n], way.status)
			}
			return errors.Join(err, caller.Close())
		})
	}
	if err := group.Wait(); err != nil {
		return r, err
	}
	elapsed, used, jobs := time.Since(begun), cpuTime()-cpu, float64(len(requests)*way.perCall)
	r = way.Stored
	r.JobsPerSecond, r.CPUPerJob = jobs/elapsed.Seconds(), float64(used.Microseconds())/jobs
	return r, nil
}

// medianStored returns the round of median speed, with the speeds of the slowest and the fastest.
func medianStored(all []Stored) Stored {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Stored) int { return cmp.Compare(a.JobsPerSecond, b.JobsPerSecond) })
	r := sorted[len(sorted)/2]
	r.Slowest, r.Fastest = sorted[0].JobsPerSecond, sorted[len(sorted)-1].JobsPerSecond
	return r
}

// definition appends the definition of a job with a key of its own.
func definition(to []byte, kind string, round, n int) []byte {
	return fmt.Appendf(to, `{"key":"%s/%d/%07d","name":"Report %d","labels":{"team":"payments","env":"prod"},`+
		`"cron":"30 9 * * MON-FRI","timeZone":"Europe/Berlin","payload":{"report":%d,"format":"pdf","to":["a@example.com"]},`+
		`"target":{"type":"worker","queue":"reports"},"maxAttempts":5}`, kind, round, n, n, n)
}

// definitions returns the nth list of definitions of a round.
func definitions(field, kind string, round, n int) []byte {
	var list bytes.Buffer
	fmt.Fprintf(&list, `{%q:[`, field)
	for i := range applySize {
		if i > 0 {
			list.WriteByte(',')
		}
		list.Write(definition(nil, kind, round, n*applySize+i))
	}
	list.WriteString("]}")
	return list.Bytes()
}

func post(path string, body []byte) []byte {
	return append(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		path, len(body)), body...)
}

func writeStored(out io.Writer, all []Stored) {
	if len(all) > 0 {
		fmt.Fprintln(out, "\nSTORED BY\tjobs/s\tslowest\tfastest\tCPU µs/job")
	}
	for _, r := range all {
		fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%.0f\t%.0f\n", r.Name, r.JobsPerSecond, r.Slowest, r.Fastest, r.CPUPerJob)
	}
}
