// Command river measures River as bench measures the service, in the database of DATABASE_URL, and
// prints the result as JSON. Command bench starts it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const insertBatch = 10_000

type args struct {
	N int `json:"n"`
}

func (args) Kind() string { return "bench" }

// worker calls a function for each job.
type worker struct {
	river.WorkerDefaults[args]
	work func(scheduledAt time.Time)
}

func (w *worker) Work(_ context.Context, job *river.Job[args]) error {
	w.work(job.ScheduledAt)
	return nil
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: river drain|scheduled [flags]")
		os.Exit(2)
	}
	answer, err := run(context.Background(), os.Args[1], os.Args[2:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "river:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, what string, rest []string) (any, error) {
	flags := flag.NewFlagSet(what, flag.ContinueOnError)
	b := bench{queries: &queries{}}
	flags.IntVar(&b.jobs, "jobs", 100_000, "how many jobs")
	flags.IntVar(&b.workers, "workers", 2_000, "MaxWorkers")
	flags.DurationVar(&b.poll, "poll", time.Millisecond, "FetchPollInterval; 0 is River's default")
	flags.DurationVar(&b.cooldown, "cooldown", time.Millisecond, "FetchCooldown; 0 is River's default")
	flags.IntVar(&b.rate, "rate", 100, "scheduled jobs per second")
	if err := flags.Parse(rest); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	config.MaxConns = 20 // the default of one per core would be the bottleneck
	config.ConnConfig.Tracer = b.queries
	if b.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	defer b.pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(b.pool), &rivermigrate.Config{Logger: quiet()})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	switch what {
	case "drain":
		return b.drain(ctx)
	case "scheduled":
		return b.scheduled(ctx)
	default:
		return nil, fmt.Errorf("unknown scenario: %s", what)
	}
}

type bench struct {
	pool           *pgxpool.Pool
	queries        *queries
	jobs, workers  int
	rate           int
	poll, cooldown time.Duration
}

func (b *bench) client(work func(time.Time)) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{work: work})
	return river.NewClient(riverpgxv5.New(b.pool), &river.Config{
		FetchCooldown: b.cooldown, FetchPollInterval: b.poll, Logger: quiet(),
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: b.workers}},
		Workers: workers,
	})
}

// insert stores jobs. The function at says when each is due; the zero instant means now.
func (b *bench) insert(ctx context.Context, client *river.Client[pgx.Tx], at func(n int) time.Time) error {
	for from := 0; from < b.jobs; from += insertBatch {
		var batch []river.InsertManyParams
		for n := from; n < min(from+insertBatch, b.jobs); n++ {
			batch = append(batch, river.InsertManyParams{Args: args{n}, InsertOpts: &river.InsertOpts{ScheduledAt: at(n)}})
		}
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return err
		}
	}
	_, err := b.pool.Exec(ctx, "vacuum (analyze) river_job")
	return err
}

// drain measures how fast River works off jobs that are due.
func (b *bench) drain(ctx context.Context) (any, error) {
	var worked atomic.Int64
	done := make(chan struct{})
	client, err := b.client(func(time.Time) {
		if worked.Add(1) == int64(b.jobs) {
			close(done)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := b.insert(ctx, client, func(int) time.Time { return time.Time{} }); err != nil {
		return nil, err
	}
	before, err := b.walPosition(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := client.Start(ctx); err != nil {
		return nil, err
	}
	<-done
	// The last results are not stored yet. Stop would store them, but it also does other things.
	for running := true; running; time.Sleep(time.Millisecond) {
		if err := b.pool.QueryRow(ctx, "select exists (select from river_job where state = 'running')").Scan(&running); err != nil {
			return nil, err
		}
	}
	took := time.Since(began)
	after, err := b.walPosition(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]float64{
		"jobsPerSecond":  float64(b.jobs) / took.Seconds(),
		"walBytesPerJob": float64(after-before) / float64(b.jobs),
	}, client.Stop(ctx)
}

// warmUp is the time for River to elect a leader. Without one it schedules nothing.
const warmUp = 12 * time.Second

// scheduled measures how late jobs begin that are scheduled at a steady rate.
func (b *bench) scheduled(ctx context.Context) (any, error) {
	var mu sync.Mutex
	var late []time.Duration
	done := make(chan struct{})
	client, err := b.client(func(scheduledAt time.Time) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		if late = append(late, now.Sub(scheduledAt)); len(late) == b.jobs {
			close(done)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := client.Start(ctx); err != nil {
		return nil, err
	}
	first := time.Now().Add(warmUp)
	step := time.Second / time.Duration(b.rate)
	if err := b.insert(ctx, client, func(n int) time.Time { return first.Add(time.Duration(n) * step) }); err != nil {
		return nil, err
	}
	time.Sleep(time.Until(first))
	before := b.queries.count.Load()
	<-done
	took := time.Since(first)
	queries := b.queries.count.Load() - before
	slices.Sort(late)
	return map[string]float64{
		"runs":             float64(len(late)),
		"p50":              late[len(late)/2].Seconds(),
		"p99":              late[len(late)*99/100].Seconds(),
		"max":              late[len(late)-1].Seconds(),
		"min":              late[0].Seconds(),
		"queriesPerSecond": float64(queries) / took.Seconds(),
	}, client.Stop(ctx)
}

func (b *bench) walPosition(ctx context.Context) (position int64, err error) {
	err = b.pool.QueryRow(ctx, "select (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&position)
	return position, err
}

// queries counts the statements that River sends.
type queries struct{ count atomic.Int64 }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.count.Add(1)
	return ctx
}

func (q *queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
