package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Config says what is measured. Zero means default. The tags make it flags.
type Config struct {
	Only   []string `help:"Measure only these: ${enum}." enum:"drain,bare,river,lateness,http,workers-idle,workers-latency,claim-cost,idle" sep:","`
	Rounds int      `help:"How often drain, bare and river are measured, one after the other; the medians count." default:"5"`
	River  string   `help:"The program that runs the same on River: make bench builds it. Without it nothing is compared with River." type:"existingfile"`

	Settle time.Duration `help:"For how long an instance runs before what it does counts, in all that takes a while." default:"5s"`

	Jobs              int `help:"How many due jobs drain, bare and river start with." default:"100000"`
	BatchSize         int `help:"The poller's batch; 0 is the service's default." default:"0"`
	MaxConcurrentRuns int `help:"The poller's slots; 0 is the service's default." default:"0"`

	LatenessJobs   int           `help:"How many active jobs there are while lateness is measured, by lateness and by http." default:"100000"`
	FiresPerSecond int           `help:"How often they fire, all together." default:"500"`
	LatenessFor    time.Duration `help:"For how long." default:"60s"`
	HTTPFor        time.Duration `name:"http-for" help:"For how long, where each run is a signed request." default:"30s"`

	WaitingWorkers int           `help:"How many workers wait at an instance that has nothing for them." default:"1000"`
	WorkersFor     time.Duration `help:"For how long they do, and for how long others are given runs." default:"40s"`

	Stored    []int         `help:"Numbers of stored jobs at which one claim and one completion are measured." default:"10000,1000000,5000000" sep:","`
	Claims    int           `help:"How many claims are measured at each." default:"40"`
	LongRuns  int           `help:"How many runs are in flight beside them in one of the measurements." default:"20000"`
	OldestFor time.Duration `help:"For how long a transaction is held open elsewhere, under load, before the last of the measurements." default:"10m"`

	IdleJobs int           `help:"How many jobs are stored, none of them due soon, while an idle instance is measured." default:"1000000"`
	IdleFor  time.Duration `help:"For how long." default:"30s"`

	CPUProfile string `help:"Write a CPU profile of the drains to this file."`
}

// wants tells whether a scenario is to be measured.
func (c Config) wants(scenario string) bool {
	return len(c.Only) == 0 || slices.Contains(c.Only, scenario)
}

func (c Config) withDefaults() Config {
	c.Rounds = cmp.Or(c.Rounds, 5)
	c.Jobs = cmp.Or(c.Jobs, 100_000)
	c.LatenessJobs = cmp.Or(c.LatenessJobs, 100_000)
	c.FiresPerSecond = cmp.Or(c.FiresPerSecond, 500)
	c.LatenessFor = cmp.Or(c.LatenessFor, time.Minute)
	c.Settle = cmp.Or(c.Settle, 5*time.Second)
	c.HTTPFor = cmp.Or(c.HTTPFor, 30*time.Second)
	c.WaitingWorkers = cmp.Or(c.WaitingWorkers, 1000)
	c.WorkersFor = cmp.Or(c.WorkersFor, 40*time.Second)
	c.Claims = cmp.Or(c.Claims, 40)
	c.LongRuns = cmp.Or(c.LongRuns, 20_000)
	c.IdleJobs = cmp.Or(c.IdleJobs, 1_000_000)
	c.IdleFor = cmp.Or(c.IdleFor, 30*time.Second)
	if len(c.Stored) == 0 {
		c.Stored = []int{10_000, 1_000_000, 5_000_000}
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for name, n := range map[string]int{
		"rounds": c.Rounds, "jobs": c.Jobs, "lateness-jobs": c.LatenessJobs, "fires-per-second": c.FiresPerSecond,
		"claims": c.Claims, "long-runs": c.LongRuns, "idle-jobs": c.IdleJobs, "stored": slices.Min(c.Stored),
		"waiting-workers": c.WaitingWorkers,
	} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("%s must be positive", name))
		}
	}
	if c.LatenessJobs < c.FiresPerSecond {
		errs = append(errs, errors.New("lateness-jobs must not be fewer than fires-per-second: a job fires once a second at most"))
	}
	if c.Claims < 5 {
		errs = append(errs, errors.New("claims must be 5 at least: the first ones are not counted"))
	}
	return errors.Join(errs...)
}

// measure measures on the server at url, in databases of its own that it drops again, and returns the report. It refuses a
// server whose named database has jobs: somebody uses that.
func measure(ctx context.Context, c Config, url string, log *slog.Logger) (*Report, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	b := &bench{Config: c, url: url, log: log}
	var err error
	if b.report.Machine, err = b.machine(ctx); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		scenarios []string
		measure   func(context.Context) error
	}{
		{[]string{"drain", "bare", "river"}, b.throughput},
		{[]string{"lateness"}, b.lateness},
		{[]string{"http"}, b.http},
		{[]string{"workers-idle"}, b.waitingWorkers},
		{[]string{"workers-latency"}, b.busyWorkers},
		{[]string{"idle"}, b.idle},
		{[]string{"claim-cost"}, b.claimCost},
	} {
		if !slices.ContainsFunc(part.scenarios, c.wants) {
			continue
		}
		if err := part.measure(ctx); err != nil {
			return nil, fmt.Errorf("bench %s: %w", part.scenarios[0], err)
		}
	}
	return &b.report, nil
}

// bench is one run of the command.
type bench struct {
	Config
	url    string
	log    *slog.Logger
	report Report
}
