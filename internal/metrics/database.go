package metrics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"punctual/gen/db"
	"punctual/internal/logging"
)

const (
	// maxCount is up to where things are counted in the database, however many there are.
	maxCount = 10_000
	// maxWaiting is the same for the runs that wait in each of many queues.
	maxWaiting = 1000
	// maxDue is how many rows of due are looked at for those that are ready. Instances hold some of
	// them.
	maxDue = 5 * maxCount
	// maxQueues and maxConnections bound of how many there are series, by name.
	maxQueues, maxConnections = 100, 100
	// maxJobs bounds of how many jobs there are series: of those only that want some.
	maxJobs = 1000
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
		// What is cheapest comes first, in case that the time runs out.
		{"due", r.readsDue()},
		{"state", r.readsState()},
		{"failing", r.readsFailing()},
		{"queues", r.readsQueues()},
		{"connections", r.readsConnections()},
		{"jobs", r.readsJobs()},
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
		metrics, err := read.do(ctx, d.queries)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", read.name, err))
		}
		all = append(append(all, metrics...), gauge(d.isRead, number(err == nil), read.name))
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
