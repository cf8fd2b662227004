// Package metrics measures an instance for Prometheus. It has all metrics of the service in one
// Registry; the parts of the service know only functions or small interfaces that it gives them.
//
// The number of series is bounded, however many jobs, queues and connections there are: see
// maxQueues, maxConnections and maxJobs.
package metrics

import (
	"cmp"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"punctual/internal/cells"
)

// Config is what a Registry needs. Zero means default.
type Config struct {
	// Cells reads what the database knows. Its pool should have limits in time. Default: nothing is
	// read.
	Cells  *cells.Directory
	Logger *slog.Logger
	// Version is that of the service.
	Version string
	// Pools returns the connection pools of the instance, by their names. Default: there are none.
	Pools func() map[string]Pool
	// Channels are those on which instances notify each other.
	Channels []string
	// Slots are for how many runs there is room, and how much of it is taken: of all runs, and of
	// those of connections. Default: this instance executes none.
	Slots map[string]func() (taken, room int)
	// Followers is how many clients follow events. Default: none do.
	Followers func() int
	// Connections is how many connections of clients are open, and how many may be. Default: none.
	Connections func() (open, allowed int)
}

// withDefaults returns the configuration with the defaults for what is missing.
func (c Config) withDefaults() Config {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Pools == nil {
		c.Pools = func() map[string]Pool { return nil }
	}
	if c.Followers == nil {
		c.Followers = func() int { return 0 }
	}
	if c.Connections == nil {
		c.Connections = func() (int, int) { return 0, 0 }
	}
	return c
}

// Registry has the metrics of an instance. Make it with New. Safe for concurrent use.
type Registry struct {
	Runs     *Runs
	Engine   *Engine
	Requests *Requests

	config   Config
	registry *prometheus.Registry
	section  string
	all      []Metric
}

// Metric describes one metric for people.
type Metric struct {
	Section string
	Name    string
	Kind    Kind
	Labels  []string
	Help    string
}

// Kind says how a metric is to be read.
type Kind string

// The kinds. A histogram with Native in its name has both forms: Prometheus stores the native one
// if it is told to.
const (
	Counter         Kind = "counter"
	Gauge           Kind = "gauge"
	Histogram       Kind = "histogram"
	NativeHistogram Kind = "histogram, classic and native"
)

// New returns a Registry.
func New(c Config) *Registry {
	r := &Registry{config: c.withDefaults(), registry: prometheus.NewRegistry()}
	r.section = "Runs"
	r.Runs = newRuns(r)
	r.section = "The service as a whole"
	r.addDatabase()
	r.section = "An instance"
	r.Engine = newEngine(r)
	r.addPools()
	r.section = "Requests to an instance"
	r.Requests = newRequests(r)
	r.section = "The process"
	r.addProcess()
	return r
}

// addProcess adds what there is to know of any program.
func (r *Registry) addProcess() {
	info := r.gauges("punctual_build_info", "1, with the version of the service and of Go.", "version", "go_version")
	info.WithLabelValues(r.config.Version, runtime.Version()).Set(1)
	r.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// gatherWithin is for how long a scrape may take: less than the ten seconds that Prometheus waits.
const gatherWithin = 8 * time.Second

// Handler serves the metrics.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(r.config.Logger.Handler(), slog.LevelWarn),
		// What can be had is served, whatever fails.
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             gatherWithin,
	})
}

// maxScrapes is how many scrapes are served at a time; more get 503.
const maxScrapes = 10

// All returns the metrics of the service, without those of Go and of the process.
func (r *Registry) All() []Metric { return slices.Clone(r.all) }

// Table returns the metrics as Markdown, in sections.
func (r *Registry) Table() string {
	var out strings.Builder
	section := ""
	for _, m := range r.all {
		if m.Section != section {
			section = m.Section
			out.WriteString("\n### " + section + "\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n")
		}
		labels := ""
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		out.WriteString("| `" + m.Name + "` | " + string(m.Kind) + " | " + labels + " | " + m.Help + " |\n")
	}
	return strings.TrimPrefix(out.String(), "\n")
}

// define notes a metric, and returns how Prometheus describes it.
func (r *Registry) define(kind Kind, name, help string, labels ...string) *prometheus.Desc {
	r.all = append(r.all, Metric{r.section, name, kind, labels, help})
	return prometheus.NewDesc(name, help, labels, nil)
}

func (r *Registry) counters(name, help string, labels ...string) *prometheus.CounterVec {
	r.define(Counter, name, help, labels...)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.registry.MustRegister(vec)
	return vec
}

func (r *Registry) counter(name, help string) prometheus.Counter {
	return r.counters(name, help).WithLabelValues()
}

func (r *Registry) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	r.define(Gauge, name, help, labels...)
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.registry.MustRegister(vec)
	return vec
}

func (r *Registry) gauge(name, help string) prometheus.Gauge {
	return r.gauges(name, help).WithLabelValues()
}

// gaugeOf adds a gauge that is read when it is scraped. read must not block.
func (r *Registry) gaugeOf(name, help string, read func() float64) {
	r.define(Gauge, name, help)
	r.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

func (r *Registry) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	r.define(Histogram, name, help, labels...)
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.registry.MustRegister(vec)
	return vec
}

// nativeHistograms adds histograms that have the native form, too, whose buckets grow by a tenth.
func (r *Registry) nativeHistograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	r.define(NativeHistogram, name, help, labels...)
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	r.registry.MustRegister(vec)
	return vec
}

var (
	// quick are the bounds of what should take milliseconds, in seconds.
	quick = []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10}
	// sizes are the bounds of batches of runs.
	sizes = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}
)
