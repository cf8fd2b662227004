package metrics

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// addPools adds what the connection pools know of themselves.
func (r *Registry) addPools() {
	connections := r.define(Gauge, "punctual_pool_connections", "Open database connections, by what they do: `idle` or `in_use`.", "pool", "state")
	room := r.define(Gauge, "punctual_pool_connections_allowed", "How many connections a pool may have.", "pool")
	acquired := r.define(Counter, "punctual_pool_acquires_total", "Times that a connection was taken from a pool.", "pool")
	waits := r.define(Counter, "punctual_pool_waits_total", "Times that somebody had to wait for a connection, because none was idle.", "pool")
	waited := r.define(Counter, "punctual_pool_wait_seconds_total", "For how long they waited.", "pool")
	canceled := r.define(Counter, "punctual_pool_timeouts_total", "Times that somebody gave up to wait for a connection.", "pool")
	r.registry.MustRegister(collector(func(out chan<- prometheus.Metric) {
		for name, pool := range r.config.Pools() {
			s := pool.Stat()
			gauge := func(of *prometheus.Desc, value int32, labels ...string) {
				out <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, float64(value), append([]string{name}, labels...)...)
			}
			counter := func(of *prometheus.Desc, value float64) {
				out <- prometheus.MustNewConstMetric(of, prometheus.CounterValue, value, name)
			}
			gauge(connections, s.IdleConns(), "idle")
			gauge(connections, s.AcquiredConns(), "in_use")
			gauge(room, s.MaxConns())
			counter(acquired, float64(s.AcquireCount()))
			counter(waits, float64(s.EmptyAcquireCount()))
			counter(waited, s.EmptyAcquireWaitTime().Seconds())
			counter(canceled, float64(s.CanceledAcquireCount()))
		}
	}))
}

// Pool is a connection pool.
type Pool interface{ Stat() *pgxpool.Stat }
