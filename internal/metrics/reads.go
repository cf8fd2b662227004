package metrics

import (
	"context"

	"punctual/gen/db"
	"punctual/internal/access"
)

func (r *Registry) readsDue() func(context.Context, *db.Queries) ([]reading, error) {
	due := r.define(Gauge, "punctual_due_runs",
		"Runs that instances could claim at once and have not, counted up to 10,000. Runs of connections, of concurrency groups and of workers are not among them.")
	age := r.define(Gauge, "punctual_oldest_due_age_seconds", "For how long the first of these could have been claimed; 0 if there is none.")
	grouped := r.define(Gauge, "punctual_group_waiting_runs", "Runs that wait for their concurrency group, counted up to 10,000.")
	return func(ctx context.Context, q *db.Queries) ([]reading, error) {
		row, err := q.MeasureDue(ctx, maxDue)
		if err != nil {
			return nil, err
		}
		return []reading{
			gauge(due, float64(min(row.Due, maxCount))), greatest(age, row.OldestAge), gauge(grouped, float64(min(row.Grouped, maxCount))),
		}, nil
	}
}

func (r *Registry) readsQueues() func(context.Context, *db.Queries) ([]reading, error) {
	of := []string{"namespace", "queue"}
	waiting := r.define(Gauge, "punctual_queue_waiting_runs",
		"Runs that wait for a worker, counted up to 1,000. The first 100 queues by namespace and name that have runs or workers.", of...)
	age := r.define(Gauge, "punctual_queue_oldest_age_seconds", "For how long the first run waits that no worker has; 0 if none waits.", of...)
	leased := r.define(Gauge, "punctual_queue_leased_runs", "Runs that workers have.", of...)
	asking := r.define(Gauge, "punctual_queue_waiting_workers", "Requests of workers that wait for a run, at all instances.", of...)
	leftOut := r.define(Gauge, "punctual_queues_left_out", "Whether there are more queues, of which there are no series: 1 or 0.")
	return func(ctx context.Context, q *db.Queries) (all []reading, err error) {
		// The queues of all namespaces follow each other; no name begins with what is above ASCII.
		rows, err := q.ListQueues(ctx, db.ListQueuesParams{After: "", Before: "\x7f", MaxRows: maxQueues + 1, MaxCount: maxWaiting})
		if err != nil {
			return nil, err
		}
		more := len(rows) > maxQueues
		if more {
			rows = rows[:maxQueues]
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
			all = append(all, gauge(waiting, float64(row.Waiting), namespace, name), greatest(age, oldest, namespace, name),
				gauge(leased, float64(row.Leased), namespace, name), gauge(asking, float64(row.Asking), namespace, name))
		}
		return append(all, greatest(leftOut, number(more))), nil
	}
}

func (r *Registry) readsConnections() func(context.Context, *db.Queries) ([]reading, error) {
	of := []string{"namespace", "connection"}
	down := r.define(Gauge, "punctual_connection_down",
		"Whether the connection is down: 1 or 0. The first 100 connections by namespace and key.", of...)
	waiting := r.define(Gauge, "punctual_connection_waiting_runs", "Runs that wait for the limits of the connection, counted up to 1,000.", of...)
	return func(ctx context.Context, q *db.Queries) (all []reading, err error) {
		rows, err := q.MeasureConnections(ctx, db.MeasureConnectionsParams{MaxRows: maxWaiting, MaxConnections: maxConnections})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			all = append(all, greatest(down, number(row.IsDown), row.Namespace, row.Key), gauge(waiting, float64(row.Waiting), row.Namespace, row.Key))
		}
		return all, nil
	}
}

func (r *Registry) readsState() func(context.Context, *db.Queries) ([]reading, error) {
	connections := r.define(Gauge, "punctual_connections", "Connections, by their state: `up` or `down`.", "state")
	pending := r.define(Gauge, "punctual_events_pending", "Events that are to start a run, one for each job that they start, counted up to 10,000.")
	age := r.define(Gauge, "punctual_events_oldest_pending_age_seconds", "For how long the first of these could have started a run; 0 if there is none.")
	unattended := r.define(Gauge, "punctual_unattended_queues", "Queues in which a run has waited for a minute while no worker has any of its runs.")
	overdue := r.define(Gauge, "punctual_overdue_jobs", "Jobs that have not succeeded within `expectSuccessWithinSeconds`, counted up to 10,000.")
	instances := r.define(Gauge, "punctual_instances", "Instances that are alive, as they say in the database.")
	return func(ctx context.Context, q *db.Queries) ([]reading, error) {
		row, err := q.MeasureState(ctx, maxCount)
		if err != nil {
			return nil, err
		}
		return []reading{
			gauge(connections, float64(row.Connections-row.ConnectionsDown), "up"), gauge(connections, float64(row.ConnectionsDown), "down"),
			gauge(pending, float64(row.EventsPending)), greatest(age, row.EventsOldestAge), gauge(overdue, float64(row.OverdueJobs)),
			gauge(unattended, float64(row.UnattendedQueues)), greatest(instances, float64(row.Instances)),
		}, nil
	}
}

func (r *Registry) readsFailing() func(context.Context, *db.Queries) ([]reading, error) {
	failing := r.define(Gauge, "punctual_failing_jobs",
		"Active jobs whose last run has failed, counted up to 10,000.")
	paused := r.define(Gauge, "punctual_jobs_paused_by_service",
		"Jobs that the service has paused, because they failed or a target asked for it, counted up to 10,000.")
	return func(ctx context.Context, q *db.Queries) ([]reading, error) {
		row, err := q.MeasureFailing(ctx, maxCount)
		if err != nil {
			return nil, err
		}
		return []reading{
			gauge(failing, float64(min(row.Active, maxCount))), gauge(paused, float64(row.Paused)),
		}, nil
	}
}

func (r *Registry) readsJobs() func(context.Context, *db.Queries) ([]reading, error) {
	of := []string{"namespace", "job_key"}
	succeeded := r.define(Gauge, "punctual_job_last_success_timestamp_seconds",
		"When the last run of the job that has succeeded began, by the clock of the database; missing if there is none. "+
			"Of jobs with `metrics`, by their keys, or their ids if they have none.", of...)
	overdue := r.define(Gauge, "punctual_job_overdue", "Whether the job has not succeeded within `expectSuccessWithinSeconds`: 1 or 0.", of...)
	return func(ctx context.Context, q *db.Queries) (all []reading, err error) {
		rows, err := q.MeasureJobs(ctx, maxJobs)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if row.SucceededAt > 0 {
				all = append(all, greatest(succeeded, row.SucceededAt, row.Namespace, row.Name))
			}
			all = append(all, greatest(overdue, number(row.IsOverdue), row.Namespace, row.Name))
		}
		return all, nil
	}
}

// number returns a truth as a metric.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
