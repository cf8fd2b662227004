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
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/maintenance"
)

// machine describes the server. It returns an error if the named database has jobs.
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
		return m, errors.New("this database has jobs, so the server is in use: measure on another one")
	}
	m = Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if err := conn.QueryRow(ctx, sqlMachine).Scan(&m.PostgreSQL, &m.Fsync, &m.SynchronousCommit, &m.SharedBuffers); err != nil {
		return m, fmt.Errorf("read the server's settings: %w", err)
	}
	return m, nil
}

// scratch is a database for one measurement, on the server of the named database.
type scratch struct {
	*db.Queries
	pool    *pgxpool.Pool
	url     string
	counter *counter
	drop    func() error
}

// empty creates an empty database and returns its URL, and a function that drops it.
func (b *bench) empty(ctx context.Context) (address string, drop func() error, err error) {
	u, err := url.Parse(b.url)
	if err != nil {
		return "", nil, errors.New("database url: not a URL") // the error of url.Parse has the password
	}
	name := "punctual_bench_" + strings.ToLower(rand.Text()[:10])
	if err := b.admin(ctx, "create database "+name); err != nil {
		return "", nil, fmt.Errorf("create a database to measure in: %w", err)
	}
	u.Path = "/" + name
	return u.String(), func() error {
		return b.admin(context.WithoutCancel(ctx), "drop database "+name+" with (force)")
	}, nil
}

// admin executes one statement in the named database.
func (b *bench) admin(ctx context.Context, sql string) (err error) {
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// scratch creates a migrated database with the partitions of runs that an instance would create.
// The caller has to close it.
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
	like.Close() // it has not connected, and only provides the settings that the service uses
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

// seeding says which jobs to store.
type seeding struct {
	jobs     int
	interval time.Duration
	first    time.Duration // from now until the first job is due
	within   time.Duration // from then until the last job is due
	// scattered makes the jobs due in an order that is independent of the order of creation, and so
	// of storage.
	scattered bool
}

// seed stores jobs as the API would, but faster: it creates one with CreateJob and copies its rows.
func (s *scratch) seed(ctx context.Context, what seeding) error {
	template := uuid.Must(uuid.NewV7())
	now, err := s.DatabaseTime(ctx)
	if err != nil {
		return fmt.Errorf("read the database time: %w", err)
	}
	seconds := int64(what.interval / time.Second)
	err = s.CreateJob(ctx, db.CreateJobParams{
		OnSkipped: db.OnSkippedDROP, AlertAfterFailures: 1,
		ID: template, Namespace: access.DefaultNamespace, UpdatedBy: "bench", Name: "bench", Payload: []byte(`{"n":1}`), Target: []byte(`{"type":"log"}`), SecretNames: []string{},
		CreatedAt:       now,
		IntervalSeconds: &seconds, AnchorAt: &now,
		// Every occurrence is executed, however long the backlog takes.
		MisfirePolicy: db.MisfirePolicyFIREALL, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
		MaxAttempts: 3, MaxBackoffSeconds: 60, AttemptDeadlineSeconds: 60,
	})
	if err != nil {
		return fmt.Errorf("create a job: %w", err)
	}
	if err := s.CreateFirst(ctx, db.CreateFirstParams{ID: template, ScheduledFor: now.Add(what.interval)}); err != nil {
		return fmt.Errorf("create its first occurrence: %w", err)
	}
	conn, err := s.pool.Acquire(ctx) // the temporary table belongs to the session
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, sqlSeed, what.jobs, what.first, what.within, what.scattered); err != nil {
		return fmt.Errorf("make ids and instants: %w", err)
	}
	for _, table := range []struct {
		name, key string
		own       map[string]string // the columns that are not copied from the template
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

// walPosition returns how many bytes of WAL the server has written in its life.
func (s *scratch) walPosition(ctx context.Context) (position int64, err error) {
	err = s.pool.QueryRow(ctx, sqlWALPosition).Scan(&position)
	return position, err
}

// counter counts statements by the name that sqlc gave them. Claims and completions are
// transactions of their own.
type counter struct {
	mu    sync.Mutex
	count map[string]int
	sent  map[string]pgx.TraceQueryStartData
}

var (
	_ pgx.QueryTracer = (*counter)(nil)
	_ pgx.BatchTracer = (*counter)(nil)
)

func newCounter() *counter {
	return &counter{count: map[string]int{}, sent: map[string]pgx.TraceQueryStartData{}}
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	c.note(data)
	return ctx
}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		c.note(pgx.TraceQueryStartData{SQL: query.SQL, Args: query.Arguments})
	}
	return ctx
}

func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (c *counter) note(data pgx.TraceQueryStartData) {
	name := "other"
	if rest, ok := strings.CutPrefix(data.SQL, "-- name: "); ok {
		name, _, _ = strings.Cut(rest, " ")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[name]++
	c.sent[name] = data
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// last returns the last statement with a name.
func (c *counter) last(name string) pgx.TraceQueryStartData {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[name]
}

// take returns the counts since the last call.
func (c *counter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.count
	c.count = map[string]int{}
	return taken
}
