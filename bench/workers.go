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
	// workerQueues is at how many queues the workers wait.
	workerQueues = 20
	// idleQueued is how many jobs these queues have while nothing is due.
	idleQueued = 10_000
	// busyWorkerCount is how many workers wait if runs are due, and busyRate how many runs are due
	// per second.
	busyWorkerCount = 100
	busyRate        = 500
	// busyInterval is the interval of each job. Together with busyRate it gives the number of jobs.
	busyInterval = 20 * time.Second

	// maxWait is how long a worker waits for a run, which is the longest time that the service
	// allows.
	maxWait = 30 * time.Second

	maxWaitingTransactions = 5  // per second
	maxHandover            = 10 // p99 in milliseconds
)

// waitingWorkers measures what a service asks of the database while workers wait for nothing.
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
		// In another process, because both ends of all connections may be more files than one
		// process may open.
		workers, err := startHolders(ctx, url, 0, 0, b.WaitingWorkers)
		if err != nil {
			return err
		}
		defer workers.kill()
		// Twice as long, since idle sessions report their statistics up to 10 s late.
		if err := pause(ctx, 2*b.Settle); err != nil {
			return err
		}
		o, err := b.observe(ctx, s, func() error { return pause(ctx, b.WorkersFor) })
		if err != nil {
			return err
		}
		w.TransactionsPerSecond, w.CPUs = o.transactions, o.cpu.Seconds()/o.took.Seconds()
		held, err := workers.stop()
		w.Answers = int(held.Answers)
		return err
	})
	if err != nil {
		return err
	}
	b.report.Waiting = &w
	if b.WorkersFor < maxWait {
		return nil // too short to judge: duties come every few seconds, and are counted late
	}
	b.report.atMost("transactions/s of an instance with waiting workers", w.TransactionsPerSecond, maxWaitingTransactions)
	return nil
}

// busyWorkers measures how long after its instant a run reaches a waiting worker.
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
	l := Lateness{Name: fmt.Sprintf("to %d waiting workers, %d/s", busyWorkerCount, busyRate)}
	err = serving(ctx, s, func(ctx context.Context, url string) error {
		ahead, err := s.clockAhead(ctx)
		if err != nil {
			return err
		}
		f := startFleet(ctx, url, fleetConfig{workers: busyWorkerCount, batch: 1, ahead: ahead})
		defer f.end()
		if err := f.during(b.Settle); err != nil {
			return err
		}
		from := f.now()
		o, err := b.observe(ctx, s, func() error { return f.during(b.WorkersFor) })
		if err != nil {
			return err
		}
		to := f.now()
		if err := f.during(time.Second); err != nil { // so that runs in flight end
			return err
		}
		if err := s.pool.QueryRow(ctx, sqlLeftOf, to).Scan(&l.Left); err != nil {
			return err
		}
		f.lateness(&l, from, to)
		l.RunsPerSecond = float64(l.Runs) / to.Sub(from).Seconds()
		l.CPUPerRun = float64(o.cpu.Microseconds()) / float64(max(l.Runs, 1))
		l.TransactionsPerSecond = o.transactions
		return nil
	})
	if err != nil {
		return err
	}
	if l.Runs == 0 {
		return errors.New("no worker has leased a run")
	}
	b.report.Lateness = append(b.report.Lateness, l)
	b.report.atMost("from the instant to a waiting worker p99, ms", l.P99, maxHandover)
	b.report.atMost("runs for workers left behind", float64(l.Left), 0)
	return nil
}

// observed is what this process and the database did in some time.
type observed struct {
	took         time.Duration
	transactions float64 // per second
	cpu          time.Duration
}

// observe measures while something is done.
func (b *bench) observe(ctx context.Context, s *scratch, do func() error) (o observed, err error) {
	before, err := b.transactions(ctx, s)
	if err != nil {
		return o, err
	}
	began, cpu := time.Now(), cpuTime()
	if err := do(); err != nil {
		return o, err
	}
	o.took, o.cpu = time.Since(began), cpuTime()-cpu
	after, err := b.transactions(ctx, s)
	o.transactions = float64(after-before) / o.took.Seconds()
	return o, err
}

// seedQueued stores jobs whose runs wait for workers.
func (s *scratch) seedQueued(ctx context.Context, what seeding) error {
	if err := s.seed(ctx, what); err != nil {
		return err
	}
	return s.makeQueued(ctx)
}

// makeQueued gives all jobs to workers.
func (s *scratch) makeQueued(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, sqlMakeQueued, workerQueues); err != nil {
		return fmt.Errorf("distribute jobs among queues: %w", err)
	}
	_, err := s.pool.Exec(ctx, sqlVacuum)
	return err
}

// queueName returns the name that sqlMakeQueued gives to a queue.
func queueName(n int) string { return "bench-" + strconv.Itoa(n%workerQueues) }

// serving runs a whole service, API and poller, while do uses it.
func serving(ctx context.Context, s *scratch, do func(ctx context.Context, url string) error) error {
	// Warnings only: a line for each request would cost time.
	log := logging.New(os.Stderr, slog.LevelWarn)
	return servingWith(ctx, app.Config{Host: "127.0.0.1", Database: app.DatabaseConfig{URL: s.url}}, log, do)
}

// servingWith is serving with a configuration and a log.
func servingWith(
	ctx context.Context, c app.Config, log *slog.Logger, do func(ctx context.Context, url string) error,
) (err error) {
	service, err := app.New(ctx, c, log)
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

// transactions returns how many transactions a database has seen since it was created. It counts
// those of all sessions: statements, checks of connections, autovacuum. What a session has not
// reported yet is missing.
func (b *bench) transactions(ctx context.Context, s *scratch) (n int64, err error) {
	conn, err := pgx.Connect(ctx, b.url) // not to the database that is counted
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = conn.QueryRow(ctx, sqlTransactions, s.pool.Config().ConnConfig.Database).Scan(&n)
	return n, err
}

// clockAhead returns how far the database's clock is ahead of this machine's, from the quickest of
// several answers.
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
