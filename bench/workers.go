package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/internal/app"
	"punctual/internal/logging"
)

const (
	// workerQueues is how many queues the workers wait at.
	workerQueues = 20
	// idleQueued is how many jobs wait in them while nothing is due.
	idleQueued = 10_000
	// busy is how many workers wait where runs are due, and busyRate how many of those there are a second.
	busy     = 100
	busyRate = 50
	// busyInterval is how often each job fires, so it says how many jobs that takes.
	busyInterval = 20 * time.Second

	// maxWait is how long a worker waits for a run, the longest that a service lets it.
	maxWait = 30 * time.Second

	maxWaitingTransactions = 5  // a second
	maxHandover            = 50 // milliseconds, of 99 of 100
)

// waitingWorkers lets workers wait at a whole service that has nothing for them.
func (b *bench) waitingWorkers(ctx context.Context) (err error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	day := 24 * time.Hour
	err = s.seedQueued(ctx, seeding{jobs: idleQueued, interval: 7 * day, first: day, within: day, scattered: true})
	if err != nil {
		return err
	}
	w := Waiting{Workers: b.WaitingWorkers, Queues: workerQueues}
	err = serving(ctx, s, func(ctx context.Context, url string) error {
		f := startFleet(ctx, url, b.WaitingWorkers, 0)
		defer f.end()
		// Twice, as sessions that are idle tell of what the start took up to 10 s later.
		if err := f.during(2 * b.Settle); err != nil {
			return err
		}
		answers := f.empty.Load()
		o, err := b.observe(ctx, s, f)
		w.Answers = int(f.empty.Load() - answers)
		w.TransactionsPerSecond, w.CPUs = o.transactions, o.cpu.Seconds()/o.to.Sub(o.from).Seconds()
		return err
	})
	if err != nil {
		return err
	}
	b.report.Waiting = &w
	if b.WorkersFor < maxWait {
		return nil // too short to judge by: duties come every few seconds, and are told of late
	}
	b.report.atMost("transactions/s of an instance at which workers wait", w.TransactionsPerSecond, maxWaitingTransactions)
	return nil
}

// busyWorkers measures how long after its instant a run is in a worker's hands that has waited for it.
func (b *bench) busyWorkers(ctx context.Context) (err error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	jobs := busyRate * int(busyInterval/time.Second)
	err = s.seedQueued(ctx, seeding{jobs: jobs, interval: busyInterval, first: b.Settle, within: busyInterval, scattered: true})
	if err != nil {
		return err
	}
	l := Lateness{Name: fmt.Sprintf("to %d waiting workers, %d/s", busy, busyRate)}
	err = serving(ctx, s, func(ctx context.Context, url string) error {
		ahead, err := s.clockAhead(ctx)
		if err != nil {
			return err
		}
		f := startFleet(ctx, url, busy, ahead)
		defer f.end()
		if err := f.during(b.Settle); err != nil {
			return err
		}
		o, err := b.observe(ctx, s, f)
		if err != nil {
			return err
		}
		if err := f.during(time.Second); err != nil { // for what is in flight
			return err
		}
		if err := s.pool.QueryRow(ctx, sqlLeftOf, o.to).Scan(&l.Left); err != nil {
			return err
		}
		f.lateness(&l, o.from, o.to)
		l.RunsPerSecond = float64(l.Runs) / o.to.Sub(o.from).Seconds()
		l.CPUPerRun = float64(o.cpu.Microseconds()) / float64(max(l.Runs, 1))
		l.TransactionsPerSecond = o.transactions
		return nil
	})
	if err != nil {
		return err
	}
	if l.Runs == 0 {
		return errors.New("no worker was given a run")
	}
	b.report.Lateness = append(b.report.Lateness, l)
	b.report.atMost("from the instant to a waiting worker p99, ms", l.P99, maxHandover)
	b.report.atMost("runs for workers left behind", float64(l.Left), 0)
	return nil
}

// observed is what a service and its workers did in a while.
type observed struct {
	from, to     time.Time // by the database's clock
	transactions float64   // a second
	cpu          time.Duration
}

// observe lets workers go on for a while.
func (b *bench) observe(ctx context.Context, s *scratch, f *fleet) (o observed, err error) {
	before, err := b.transactions(ctx, s)
	if err != nil {
		return o, err
	}
	cpu := cpuTime()
	o.from = f.now()
	if err := f.during(b.WorkersFor); err != nil {
		return o, err
	}
	o.to, o.cpu = f.now(), cpuTime()-cpu
	after, err := b.transactions(ctx, s)
	o.transactions = float64(after-before) / o.to.Sub(o.from).Seconds()
	return o, err
}

// seedQueued stores jobs whose runs wait for workers.
func (s *scratch) seedQueued(ctx context.Context, what seeding) error {
	if err := s.seed(ctx, what); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, sqlMakeQueued, workerQueues); err != nil {
		return fmt.Errorf("deal jobs out to queues: %w", err)
	}
	_, err := s.pool.Exec(ctx, sqlVacuum)
	return err
}

// queueName is as sqlMakeQueued names it.
func queueName(n int) string { return "bench-" + strconv.Itoa(n%workerQueues) }

// serving runs a whole service, API and poller, while do does something with it.
func serving(ctx context.Context, s *scratch, do func(ctx context.Context, url string) error) (err error) {
	// Its warnings only: what it says of each request is the noise of a terminal.
	service, err := app.New(ctx, app.Config{
		Host: "127.0.0.1", Database: app.DatabaseConfig{URL: s.url},
	}, logging.New(os.Stderr, slog.LevelWarn))
	if err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- service.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	return do(ctx, service.URL())
}

// transactions tells how many transactions there have been in a database since it was made, of whomever: each statement is
// one, unless the service opens one for several, and so are a connection's checks and what vacuums. What sessions have
// not told of yet is not counted.
func (b *bench) transactions(ctx context.Context, s *scratch) (n int64, err error) {
	conn, err := pgx.Connect(ctx, b.url) // not in the database that is counted
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = conn.QueryRow(ctx, sqlTransactions, s.pool.Config().ConnConfig.Database).Scan(&n)
	return n, err
}

// clockAhead tells how far the database's clock is ahead of this machine's, by the quickest of some answers.
func (s *scratch) clockAhead(ctx context.Context) (ahead time.Duration, err error) {
	quickest := time.Hour
	for range 20 {
		var theirs time.Time
		asked := time.Now()
		if err := s.pool.QueryRow(ctx, sqlNow).Scan(&theirs); err != nil {
			return 0, err
		}
		if took := time.Since(asked); took < quickest {
			quickest, ahead = took, theirs.Sub(asked.Add(took/2))
		}
	}
	return ahead, nil
}
