package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/maintenance"
)

// machine refuses a database that is in use, and says on what the numbers were measured.
func (b *bench) machine(ctx context.Context) (m Machine, err error) {
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return m, fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var used bool
	if err := conn.QueryRow(ctx, sqlJobsExist).Scan(&used); err != nil {
		return m, fmt.Errorf("look for jobs: %w", err)
	}
	if used {
		if err := conn.QueryRow(ctx, sqlHasJobs).Scan(&used); err != nil {
			return m, fmt.Errorf("look for jobs: %w", err)
		}
	}
	if used {
		return m, errors.New("this database has jobs: a server that is in use is nothing to measure on; name another one")
	}
	m = Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if err := conn.QueryRow(ctx, sqlMachine).Scan(&m.PostgreSQL, &m.Fsync, &m.SynchronousCommit, &m.SharedBuffers); err != nil {
		return m, fmt.Errorf("read the server's settings: %w", err)
	}
	return m, nil
}

// scratch is a database for one measurement, beside the one that was named.
type scratch struct {
	*db.Queries
	pool    *pgxpool.Pool
	url     string
	counter *counter
	drop    func() error
}

// empty makes a database without anything in it and returns its URL. Call drop when done with it.
func (b *bench) empty(ctx context.Context) (address string, drop func() error, err error) {
	u, err := url.Parse(b.url)
	if err != nil {
		return "", nil, errors.New("database url: not a URL") // url.Parse would repeat it, password and all
	}
	name := "punctual_bench_" + strings.ToLower(rand.Text()[:10])
	if err := b.admin(ctx, "create database "+name); err != nil {
		return "", nil, fmt.Errorf("make a database to measure in: %w", err)
	}
	u.Path = "/" + name
	return u.String(), func() error {
		return b.admin(context.WithoutCancel(ctx), "drop database "+name+" with (force)")
	}, nil
}

// admin runs one statement in the database that was named.
func (b *bench) admin(ctx context.Context, sql string) (err error) {
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// scratch makes a migrated database with the partitions of runs that an instance would make. Close it.
func (b *bench) scratch(ctx context.Context) (_ *scratch, err error) {
	s := &scratch{counter: newCounter()}
	if s.url, s.drop, err = b.empty(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := database.Migrate(ctx, s.url, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	like, err := database.Open(ctx, s.url)
	if err != nil {
		return nil, err
	}
	like.Close() // it has not connected: it is only there for the settings that the service uses
	config := like.Config()
	config.ConnConfig.Tracer = s.counter
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.Queries = db.New(s.pool)
	if _, err := maintenance.Partitions(s.Queries).Pass(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close drops the database.
func (s *scratch) Close() error {
	if s.pool != nil {
		s.pool.Close()
	}
	return s.drop()
}

// seeding says what jobs to store.
type seeding struct {
	jobs     int
	interval time.Duration
	first    time.Duration // when the first of them is due, from now
	within   time.Duration // and the last, from then
	// scattered: due in an order that has nothing to do with the order of creation, and so of storage.
	scattered bool
}

// seed stores jobs as the API would, faster. What a job looks like is for CreateJob to say: one is made by it, and copied.
func (s *scratch) seed(ctx context.Context, what seeding) error {
	template := uuid.Must(uuid.NewV7())
	now, err := s.DatabaseTime(ctx)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	seconds := int64(what.interval / time.Second)
	_, err = s.CreateJob(ctx, db.CreateJobParams{
		ID: template, Name: "bench", Payload: []byte(`{"n":1}`), Target: []byte(`{"type":"log"}`), SecretNames: []string{},
		CreatedAt:       now,
		IntervalSeconds: &seconds, AnchorAt: &now, ScheduledFor: now.Add(what.interval),
		// However long the backlog takes: every occurrence is executed.
		MisfirePolicy: db.MisfirePolicyFIREALL, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
		MaxAttempts: 3, MaxBackoffSeconds: 60, AttemptDeadlineSeconds: 60,
	})
	if err != nil {
		return fmt.Errorf("create a job: %w", err)
	}
	conn, err := s.pool.Acquire(ctx) // the temporary table is the session's
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, sqlSeed, what.jobs, what.first, what.within, what.scattered); err != nil {
		return fmt.Errorf("choose ids and instants: %w", err)
	}
	for _, table := range []struct {
		name, key string
		own       map[string]string // what is each one's own, not the template's
	}{
		{"jobs", "id", map[string]string{"id": "s.id", "anchor_at": "s.at - t.interval_seconds * interval '1 second'"}},
		{"due", "job_id", map[string]string{"job_id": "s.id", "scheduled_for": "s.at", "ready_at": "s.at"}},
	} {
		rows, err := conn.Query(ctx, sqlColumns, table.name)
		if err != nil {
			return err
		}
		columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		values := make([]string, len(columns))
		for i, column := range columns {
			if values[i] = table.own[column]; values[i] == "" {
				values[i] = "t." + column
			}
		}
		copies := fmt.Sprintf("insert into %s (%s) select %s from seed s, %s t where t.%s = $1",
			table.name, strings.Join(columns, ", "), strings.Join(values, ", "), table.name, table.key)
		if _, err := conn.Exec(ctx, copies, template); err != nil {
			return fmt.Errorf("fill %s: %w", table.name, err)
		}
	}
	for _, sql := range []string{sqlDropSeed, sqlVacuum} {
		if sql == sqlVacuum {
			if _, err := conn.Exec(ctx, sqlForgetTemplate, template); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// walPosition is how many bytes the server has logged in its life.
func (s *scratch) walPosition(ctx context.Context) (position int64, err error) {
	err = s.pool.QueryRow(ctx, sqlWALPosition).Scan(&position)
	return position, err
}

// counter counts statements by the name that sqlc gave them. Each is a transaction of its own unless the service opens
// one, which claiming and completing never do.
type counter struct {
	mu    sync.Mutex
	count map[string]int
	sent  map[string]pgx.TraceQueryStartData
}

var _ pgx.QueryTracer = (*counter)(nil)

func newCounter() *counter {
	return &counter{count: map[string]int{}, sent: map[string]pgx.TraceQueryStartData{}}
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	name := "other"
	if rest, ok := strings.CutPrefix(data.SQL, "-- name: "); ok {
		name, _, _ = strings.Cut(rest, " ")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[name]++
	c.sent[name] = data
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// last returns the statement of a name that was sent last.
func (c *counter) last(name string) pgx.TraceQueryStartData {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[name]
}

// take returns what was counted since the last take.
func (c *counter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.count
	c.count = map[string]int{}
	return taken
}
