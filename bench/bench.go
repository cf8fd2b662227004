package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"punctual/internal/app"
	"punctual/internal/tracing"
)

// Config selects what is measured, and how much. Zero means default. The tags make the fields
// flags.
type Config struct {
	Only   []string `help:"Measure only these scenarios: ${enum}." enum:"drain,drain-followed,bare,workers,river,lateness,http,api,apply,find,pages,workers-idle,workers-latency,claim-cost,groups,instances,idle,slow-clients" sep:","`
	Rounds int      `help:"How often to measure drain, bare and river, alternating; the medians are reported." default:"5"`
	River  string   `help:"The program that does the same with River, which make bench builds. Without it, nothing is compared with River." type:"existingfile"`

	Settle time.Duration `help:"How long an instance runs before it is measured, in the scenarios that last a while." default:"5s"`

	Metrics bool `help:"Measure the runs for Prometheus, as the service does unless METRICS is off." default:"true" negatable:""`

	Jobs              int `help:"How many due jobs drain, bare and river begin with." default:"100000"`
	BatchSize         int `help:"The batch size of the poller; 0 is the service's default." default:"0"`
	MaxConcurrentRuns int `help:"How many runs the poller executes at a time; 0 is the service's default." default:"0"`

	LatenessJobs   int           `help:"How many active jobs lateness and http store." default:"100000"`
	FiresPerSecond int           `help:"How many of these jobs fire per second." default:"500"`
	LatenessFor    time.Duration `help:"How long lateness is measured." default:"60s"`
	HTTPFor        time.Duration `name:"http-for" help:"How long http is measured." default:"30s"`

	APIFor time.Duration `name:"api-for" help:"How long each contestant of api answers requests of each kind." default:"10s"`

	ApplyJobs int `help:"How many jobs apply stores in each way and round." default:"40000"`

	FindJobs int `help:"Among how many jobs find looks." default:"1000000"`
	FindRuns int `help:"Among how many runs find looks." default:"10000000"`

	WaitingWorkers int           `help:"How many workers wait at an instance that has nothing for them, in workers-idle." default:"10000"`
	WorkersFor     time.Duration `help:"How long workers-idle and workers-latency are measured." default:"40s"`

	Stored    []int         `help:"At how many stored jobs claim-cost measures a claim and a completion." default:"10000,1000000,5000000" sep:","`
	Claims    int           `help:"How many claims are measured at each number of jobs." default:"40"`
	LongRuns  int           `help:"How many long runs are in flight in one part of claim-cost." default:"20000"`
	OldestFor time.Duration `help:"How long a transaction is held open elsewhere, under load, before the last part of claim-cost." default:"10m"`

	GroupJobs    int `help:"How many jobs groups stores." default:"1000000"`
	GroupWaiting int `help:"How many of them wait for their concurrency group." default:"100000"`

	Instances    []int         `help:"How many instances run at a time in instances." default:"1,2,4,8,16" sep:","`
	InstancesFor time.Duration `help:"How long each number of instances is measured." default:"20s"`

	IdleJobs int           `help:"How many jobs idle stores, none of which is due soon." default:"1000000"`
	IdleFor  time.Duration `help:"How long idle is measured." default:"30s"`

	IdleConnections int           `help:"How many idle connections clients hold in slow-clients." default:"10000"`
	SlowConnections int           `help:"How many connections clients hold there that send a header or a body drop by drop." default:"1000"`
	SlowFor         time.Duration `help:"How long slow-clients is measured with these connections, and without." default:"60s"`

	CPUProfile string `help:"Write a CPU profile of the drains, or of api or apply, to this file."`
}

// wants reports whether a scenario is selected.
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
	c.APIFor = cmp.Or(c.APIFor, 10*time.Second)
	c.ApplyJobs = cmp.Or(c.ApplyJobs, 40_000)
	c.FindJobs = cmp.Or(c.FindJobs, 1_000_000)
	c.FindRuns = cmp.Or(c.FindRuns, 10_000_000)
	c.WaitingWorkers = cmp.Or(c.WaitingWorkers, 10_000)
	c.WorkersFor = cmp.Or(c.WorkersFor, 40*time.Second)
	c.Claims = cmp.Or(c.Claims, 40)
	c.LongRuns = cmp.Or(c.LongRuns, 20_000)
	c.GroupJobs = cmp.Or(c.GroupJobs, 1_000_000)
	c.GroupWaiting = cmp.Or(c.GroupWaiting, 100_000)
	c.InstancesFor = cmp.Or(c.InstancesFor, 20*time.Second)
	if len(c.Instances) == 0 {
		c.Instances = []int{1, 2, 4, 8, 16}
	}
	c.IdleJobs = cmp.Or(c.IdleJobs, 1_000_000)
	c.IdleFor = cmp.Or(c.IdleFor, 30*time.Second)
	c.IdleConnections = cmp.Or(c.IdleConnections, 10_000)
	c.SlowConnections = cmp.Or(c.SlowConnections, 1000)
	c.SlowFor = cmp.Or(c.SlowFor, time.Minute)
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
		"waiting-workers": c.WaitingWorkers, "idle-connections": c.IdleConnections, "find-jobs": c.FindJobs, "find-runs": c.FindRuns, "slow-connections": c.SlowConnections,
	} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("%s must be positive", name))
		}
	}
	if c.LatenessJobs < c.FiresPerSecond {
		errs = append(errs, errors.New("lateness-jobs must be at least fires-per-second: a job fires at most once a second"))
	}
	if c.Claims < 5 {
		errs = append(errs, errors.New("claims must be at least 5"))
	}
	if c.ApplyJobs < applySize {
		errs = append(errs, fmt.Errorf("apply-jobs must be at least %d, which is what a request has", applySize))
	}
	return errors.Join(errs...)
}

// measure measures on the server at url, in databases that it creates and drops, and returns the
// report. It refuses to measure if the database at url has jobs, because the server is in use then.
func measure(ctx context.Context, c Config, url string, log *slog.Logger) (*Report, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	b := &bench{Config: c, url: url, log: log}
	var err error
	if b.traces, err = tracing.New(ctx, tracing.Config{Version: app.Version(), Instance: "bench", Logger: log}); err != nil {
		return nil, err
	}
	defer b.traces.Close()
	if b.report.Machine, err = b.machine(ctx); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		scenarios []string
		measure   func(context.Context) error
	}{
		{[]string{"drain", "drain-followed", "bare", "workers", "river"}, b.throughput},
		{[]string{"lateness"}, b.lateness},
		{[]string{"http"}, b.http},
		{[]string{"api"}, b.api},
		{[]string{"apply"}, b.apply},
		{[]string{"find", "pages"}, b.find},
		{[]string{"workers-idle"}, b.waitingWorkers},
		{[]string{"workers-latency"}, b.busyWorkers},
		{[]string{"groups"}, b.groups},
		{[]string{"instances"}, b.instances},
		{[]string{"idle"}, b.idle},
		{[]string{"slow-clients"}, b.slowClients},
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

// bench is one execution of the command.
type bench struct {
	Config
	url    string
	log    *slog.Logger
	report Report
	// traces are exported if the environment says where to, to measure what that costs.
	traces *tracing.Tracing
}
