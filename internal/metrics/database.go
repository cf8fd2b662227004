package metrics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"punctual/gen/db"
	"punctual/internal/cells"
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
	cells  *cells.Directory
	outage logging.Outage
	reads  []read
	// isRead says of each read whether it succeeded.
	isRead *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	last   []prometheus.Metric
}

// read is one statement, and what makes metrics of its answer.
type read struct {
	name string
	do   func(ctx context.Context, q *db.Queries) ([]reading, error)
}

// reading is the value of a gauge in one cell. That of all of them is the sum, or the greatest one.
type reading struct {
	of         *prometheus.Desc
	value      float64
	labels     []string
	isGreatest bool
}

// gauge is a reading that is added to those of other cells.
func gauge(of *prometheus.Desc, value float64, labels ...string) reading {
	return reading{of: of, value: value, labels: labels}
}

// greatest is a reading of which the greatest one counts.
func greatest(of *prometheus.Desc, value float64, labels ...string) reading {
	return reading{of: of, value: value, labels: labels, isGreatest: true}
}

// metric returns a reading for Prometheus.
func (r reading) metric() prometheus.Metric {
	return prometheus.MustNewConstMetric(r.of, prometheus.GaugeValue, r.value, r.labels...)
}

// add adds a reading of another cell.
func (r *reading) add(other reading) {
	if r.isGreatest {
		r.value = max(r.value, other.value)
	} else {
		r.value += other.value
	}
}

// addDatabase adds the metrics of the service as a whole. Each instance has them.
func (r *Registry) addDatabase() {
	d := &database{
		cells: r.config.Cells,
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
	if d.cells != nil {
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
		readings, err := d.readCells(ctx, read)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", read.name, err))
		}
		for _, r := range append(readings, gauge(d.isRead, number(err == nil), read.name)) {
			all = append(all, r.metric())
		}
	}
	if err := errors.Join(errs...); err != nil {
		d.outage.Failed(ctx, err)
	} else {
		d.outage.Worked(ctx)
	}
	return all
}

// readCells reads something of all cells, and puts it together.
func (d *database) readCells(ctx context.Context, read read) (all []reading, err error) {
	names, err := d.cells.All(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, cell := range names {
		var of []reading
		err := d.cells.Read(ctx, cell, func(q *db.Queries) (err error) {
			of, err = read.do(ctx, q)
			return err
		})
		if err != nil { // what is known of the others is served
			errs = append(errs, err)
		}
		for _, r := range of {
			at := slices.IndexFunc(all, func(known reading) bool { return known.of == r.of && slices.Equal(known.labels, r.labels) })
			if at < 0 {
				all = append(all, r)
			} else {
				all[at].add(r)
			}
		}
	}
	return all, errors.Join(errs...)
}
