package metrics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/logging"
)

const (
	// maxCount is up to where things are counted in the database, however many there are.
	maxCount = 10_000
	// maxDue is how many rows of due are looked at for those that are ready. Instances hold some of
	// them.
	maxDue = 5 * maxCount
	// maxQueues and maxConnections bound of how many there are series, by name.
	maxQueues, maxConnections = 100, 100
	// keepFor is how long what was read is served again.
	keepFor = 5 * time.Second
	// readWithin bounds all reads of a scrape together, so that a scrape is answered in time
	// whatever the database does.
	readWithin = 4 * time.Second
)

// database reads what the database knows of the service as a whole, whenever that is scraped.
type database struct {
	queries *db.Queries
	outage  logging.Outage
	reads   []read
	// isRead says of each read whether it succeeded.
	isRead *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	last   []prometheus.Metric
}

// read is one statement, and what makes metrics of its answer.
type read struct {
	name string
	do   func(ctx context.Context, q *db.Queries) ([]prometheus.Metric, error)
}

// addDatabase adds the metrics of the service as a whole. Each instance has them.
func (r *Registry) addDatabase() {
	d := &database{
		queries: r.config.Queries,
		outage: logging.Outage{
			Logger:  r.config.Logger,
			Failing: "could not read metrics of the database; they are missing until this succeeds",
			Working: "metrics of the database are read again",
		},
	}
	d.reads = []read{
		{"due", r.readsDue()},
		{"queues", r.readsQueues()},
		{"connections", r.readsConnections()},
		{"state", r.readsState()},
		{"failing", r.readsFailing()},
	}
	d.isRead = r.define(Gauge, "punctual_database_read_success",
		"Whether this instance could read these metrics: 1 or 0. Those that it could not read are missing.", "read")
	if d.queries != nil {
		r.registry.MustRegister(d)
	}
}

// Describe implements prometheus.Collector. The metrics depend on what there is.
func (*database) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. One scrape reads for all that come at the same time.
func (d *database) Collect(out chan<- prometheus.Metric) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readAt.IsZero() || time.Since(d.readAt) > keepFor {
		d.last = d.read()
		d.readAt = time.Now()
	}
	for _, m := range d.last {
		out <- m
	}
}

// read reads everything. What cannot be read is missing.
func (d *database) read() (all []prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	var errs []error
	for _, read := range d.reads {
		isRead := 1.0
		metrics, err := read.do(ctx, d.queries)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", read.name, err))
			isRead, metrics = 0, nil
		}
		all = append(append(all, metrics...), gauge(d.isRead, isRead, read.name))
	}
	if err := errors.Join(errs...); err != nil {
		d.outage.Failed(ctx, err)
	} else {
		d.outage.Worked(ctx)
	}
	return all
}

func gauge(of *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
}

func (r *Registry) readsDue() func(context.Context, *db.Queries) ([]prometheus.Metric, error) {
	due := r.define(Gauge, "punctual_due_runs",
		"Runs that instances could claim at once and have not, counted up to 10,000. Runs of connections, of concurrency groups and of workers are not among them.")
	age := r.define(Gauge, "punctual_oldest_due_age_seconds", "For how long the first of these could have been claimed; 0 if there is none.")
	grouped := r.define(Gauge, "punctual_group_waiting_runs", "Runs that wait for their concurrency group, counted up to 10,000.")
	return func(ctx context.Context, q *db.Queries) ([]prometheus.Metric, error) {
		row, err := q.MeasureDue(ctx, maxDue)
		if err != nil {
			return nil, err
		}
		return []prometheus.Metric{
			gauge(due, float64(min(row.Due, maxCount))), gauge(age, row.OldestAge), gauge(grouped, float64(min(row.Grouped, maxCount))),
		}, nil
	}
}

func (r *Registry) readsQueues() func(context.Context, *db.Queries) ([]prometheus.Metric, error) {
	of := []string{"namespace", "queue"}
	waiting := r.define(Gauge, "punctual_queue_waiting_runs",
		"Runs that wait for a worker, counted up to 10,000. The first 100 queues by namespace and name that have runs or workers.", of...)
	age := r.define(Gauge, "punctual_queue_oldest_age_seconds", "For how long the first run waits that no worker has; 0 if none waits.", of...)
	leased := r.define(Gauge, "punctual_queue_leased_runs", "Runs that workers have.", of...)
	asking := r.define(Gauge, "punctual_queue_waiting_workers", "Requests of workers that wait for a run, at all instances.", of...)
	leftOut := r.define(Gauge, "punctual_queues_left_out", "Whether there are more queues, of which there are no series: 1 or 0.")
	return func(ctx context.Context, q *db.Queries) (all []prometheus.Metric, err error) {
		// The queues of all namespaces follow each other; no name begins with what is above ASCII.
		rows, err := q.ListQueues(ctx, db.ListQueuesParams{After: "", Before: "\x7f", MaxRows: maxQueues + 1, MaxCount: maxCount})
		if err != nil {
			return nil, err
		}
		more := 0.0
		if len(rows) > maxQueues {
			rows, more = rows[:maxQueues], 1
		}
		now, err := q.DatabaseTime(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			namespace, name := access.Split(row.Queue)
			oldest := 0.0
			if row.Waiting > 0 {
				oldest = max(now.Sub(row.OldestReadyAt).Seconds(), 0)
			}
			all = append(all, gauge(waiting, float64(row.Waiting), namespace, name), gauge(age, oldest, namespace, name),
				gauge(leased, float64(row.Leased), namespace, name), gauge(asking, float64(row.Asking), namespace, name))
		}
		return append(all, gauge(leftOut, more)), nil
	}
}

func (r *Registry) readsConnections() func(context.Context, *db.Queries) ([]prometheus.Metric, error) {
	of := []string{"namespace", "connection"}
	down := r.define(Gauge, "punctual_connection_down",
		"Whether the connection is down: 1 or 0. The first 100 connections by namespace and key.", of...)
	waiting := r.define(Gauge, "punctual_connection_waiting_runs", "Runs that wait for the limits of the connection, counted up to 10,000.", of...)
	return func(ctx context.Context, q *db.Queries) (all []prometheus.Metric, err error) {
		rows, err := q.MeasureConnections(ctx, db.MeasureConnectionsParams{MaxRows: maxCount, MaxConnections: maxConnections})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			isDown := 0.0
			if row.IsDown {
				isDown = 1
			}
			all = append(all, gauge(down, isDown, row.Namespace, row.Key), gauge(waiting, float64(row.Waiting), row.Namespace, row.Key))
		}
		return all, nil
	}
}

func (r *Registry) readsState() func(context.Context, *db.Queries) ([]prometheus.Metric, error) {
	connections := r.define(Gauge, "punctual_connections", "Connections, by their state: `up` or `down`.", "state")
	pending := r.define(Gauge, "punctual_events_pending", "Events that are to start a run, one for each job that they start, counted up to 10,000.")
	age := r.define(Gauge, "punctual_events_oldest_pending_age_seconds", "For how long the first of these could have started a run; 0 if there is none.")
	unattended := r.define(Gauge, "punctual_unattended_queues", "Queues in which a run has waited for a minute while no worker has any of its runs.")
	overdue := r.define(Gauge, "punctual_overdue_jobs", "Jobs that have not succeeded within `expectSuccessWithinSeconds`, counted up to 10,000.")
	instances := r.define(Gauge, "punctual_instances", "Instances that are alive, as they say in the database.")
	return func(ctx context.Context, q *db.Queries) ([]prometheus.Metric, error) {
		row, err := q.MeasureState(ctx, maxCount)
		if err != nil {
			return nil, err
		}
		return []prometheus.Metric{
			gauge(connections, float64(row.Connections-row.ConnectionsDown), "up"), gauge(connections, float64(row.ConnectionsDown), "down"),
			gauge(pending, float64(row.EventsPending)), gauge(age, row.EventsOldestAge), gauge(overdue, float64(row.OverdueJobs)),
			gauge(unattended, float64(row.UnattendedQueues)), gauge(instances, float64(row.Instances)),
		}, nil
	}
}

func (r *Registry) readsFailing() func(context.Context, *db.Queries) ([]prometheus.Metric, error) {
	failing := r.define(Gauge, "punctual_failing_jobs",
		"Jobs whose last run has failed, by the status of the job: `active` or `paused`. Each is counted up to 10,000.", "status")
	return func(ctx context.Context, q *db.Queries) ([]prometheus.Metric, error) {
		row, err := q.MeasureFailing(ctx, maxCount)
		if err != nil {
			return nil, err
		}
		return []prometheus.Metric{
			gauge(failing, float64(min(row.Active, maxCount)), "active"), gauge(failing, float64(row.Paused), "paused"),
		}, nil
	}
}
