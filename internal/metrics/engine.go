package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Engine measures what keeps an instance running.
type Engine struct {
	renewed, unrenewed prometheus.Counter

	dutySuccess, dutyEvery *prometheus.GaugeVec
	dutyFailures           *prometheus.CounterVec

	sent, unsent  prometheus.Counter
	heard         map[string]prometheus.Counter
	listening     prometheus.Gauge
	eventsStarted prometheus.Counter
}

func newEngine(r *Registry) *Engine {
	e := &Engine{heard: map[string]prometheus.Counter{}}
	renewals := r.counters("punctual_lease_renewals_total",
		"Tries to renew the lease under which the instance executes runs. If it runs out, others take the runs over.", "outcome")
	e.renewed, e.unrenewed = renewals.WithLabelValues("renewed"), renewals.WithLabelValues("failed")
	e.dutySuccess = r.gauges("punctual_duty_last_success_timestamp_seconds",
		"When a duty succeeded last at this instance, by the clock of its machine. Until then, when the instance started.", "duty")
	e.dutyEvery = r.gauges("punctual_duty_interval_seconds", "The longest time from one pass of a duty to the next.", "duty")
	e.dutyFailures = r.counters("punctual_duty_failures_total", "Passes of a duty that failed. They are repeated.", "duty")
	e.sent = r.counter("punctual_notifications_sent_total", "Announcements to other instances that something becomes due.")
	e.unsent = r.counter("punctual_notification_failures_total", "Times that announcements could not be sent. They are sent later.")
	heard := r.counters("punctual_notifications_heard_total", "Notifications that this instance has heard.", "channel")
	for _, channel := range r.config.Channels {
		e.heard[channel] = heard.WithLabelValues(strings.TrimPrefix(channel, "punctual_"))
	}
	e.listening = r.gauge("punctual_listening",
		"Whether this instance hears notifications: 1 or 0. Without them, runs may be late by the poll interval.")
	e.eventsStarted = r.counter("punctual_events_delivered_total", "Events that this instance has made runs of.")
	r.gaugeOf("punctual_event_followers", "Clients that follow the stream of events at this instance.",
		func() float64 { return float64(r.config.Followers()) })
	r.addSlots()
	return e
}

// addSlots adds how much room there is for runs.
func (r *Registry) addSlots() {
	taken := r.define(Gauge, "punctual_slots_taken",
		"Runs that this instance holds: claimed, executing or to be stored. Those of connections are among all.", "of")
	room := r.define(Gauge, "punctual_slots", "How many runs this instance may hold (`MAX_CONCURRENT_RUNS`).", "of")
	r.registry.MustRegister(collector(func(out chan<- prometheus.Metric) {
		for of, read := range r.config.Slots {
			t, n := read()
			out <- prometheus.MustNewConstMetric(taken, prometheus.GaugeValue, float64(t), of)
			out <- prometheus.MustNewConstMetric(room, prometheus.GaugeValue, float64(n), of)
		}
	}))
}

// collector is a function that makes metrics when they are scraped. It describes none beforehand,
// since it may make other series each time.
type collector func(chan<- prometheus.Metric)

func (collector) Describe(chan<- *prometheus.Desc)       {}
func (c collector) Collect(out chan<- prometheus.Metric) { c(out) }

// LeaseRenewed notes a try to renew the lease.
func (e *Engine) LeaseRenewed(err error) {
	if err != nil {
		e.unrenewed.Inc()
		return
	}
	e.renewed.Inc()
}

// Duty returns what notes each pass of a duty, of which two succeed within a time.
func (e *Engine) Duty(name string, every time.Duration) (done func(error)) {
	success, failures := e.dutySuccess.WithLabelValues(name), e.dutyFailures.WithLabelValues(name)
	e.dutyEvery.WithLabelValues(name).Set(every.Seconds())
	success.SetToCurrentTime()
	return func(err error) {
		if err != nil {
			failures.Inc()
			return
		}
		success.SetToCurrentTime()
	}
}

// Announced notes a try to send announcements.
func (e *Engine) Announced(announcements int, err error) {
	if err != nil {
		e.unsent.Inc()
		return
	}
	e.sent.Add(float64(announcements))
}

// Heard notes a notification.
func (e *Engine) Heard(channel string) {
	if counter, ok := e.heard[channel]; ok {
		counter.Inc()
	}
}

// Listening notes whether the instance hears notifications.
func (e *Engine) Listening(listens bool) {
	e.listening.Set(number(listens))
}

// EventsStarted notes events of which runs were made.
func (e *Engine) EventsStarted(events int) { e.eventsStarted.Add(float64(events)) }
