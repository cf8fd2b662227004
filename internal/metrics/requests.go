package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests measures the requests to the API.
type Requests struct {
	total    *prometheus.CounterVec
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newRequests(r *Registry) *Requests {
	m := &Requests{
		total: r.counters("punctual_http_requests_total",
			"Requests that were answered, by the `operationId` of the contract, or `none` for what is not in it, such as `/docs`.", "operation", "status"),
		took: r.histograms("punctual_http_request_duration_seconds",
			"How long answers take, up to their last byte. `leaseRuns` waits for runs, and `streamEvents` lasts as long as somebody follows.",
			[]float64{0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}, "operation"),
		inFlight: r.gauge("punctual_http_requests_in_flight", "Requests that are being answered."),
	}
	m.total.WithLabelValues(noOperation, strconv.Itoa(http.StatusOK)) // so that there is always one
	m.took.WithLabelValues(noOperation)
	taken := r.define(Gauge, "punctual_http_connections", "Open connections of clients.")
	room := r.define(Gauge, "punctual_http_connections_allowed", "How many connections of clients may be open (`MAX_CONNECTIONS`).")
	r.registry.MustRegister(collector(func(out chan<- prometheus.Metric) {
		open, allowed := r.config.Connections()
		out <- prometheus.MustNewConstMetric(taken, prometheus.GaugeValue, float64(open))
		out <- prometheus.MustNewConstMetric(room, prometheus.GaugeValue, float64(allowed))
	}))
	return m
}

// noOperation stands for requests that are in no contract.
const noOperation = "none"

// Begin notes that a request is being answered, and returns what notes its end. An operation that
// the contract does not have is empty.
func (m *Requests) Begin() (ended func(operation string, status int)) {
	begun := time.Now()
	m.inFlight.Inc()
	return func(operation string, status int) {
		m.inFlight.Dec()
		if operation == "" {
			operation = noOperation
		}
		m.total.WithLabelValues(operation, strconv.Itoa(status)).Inc()
		m.took.WithLabelValues(operation).Observe(time.Since(begun).Seconds())
	}
}
