// Package events knows what happens to runs, jobs, queues and connections, and which jobs that
// starts.
package events

import (
	"punctual/internal/labels"
)

// Type says what happened.
type Type string

// The types of events, as the contract describes them.
const (
	RunSucceeded        Type = "run.succeeded"
	RunFailed           Type = "run.failed"
	RunSkipped          Type = "run.skipped"
	RunLate             Type = "run.late"
	JobFailing          Type = "job.failing"
	JobRecovered        Type = "job.recovered"
	JobPaused           Type = "job.paused"
	JobCompleted        Type = "job.completed"
	JobOverdue          Type = "job.overdue"
	QueueUnattended     Type = "queue.unattended"
	ConnectionDown      Type = "connection.down"
	ConnectionRecovered Type = "connection.recovered"
)

// Set is a set of types of events.
type Set uint16

// bits has a bit of a Set for each type.
var bits = func() map[Type]Set {
	all := map[Type]Set{}
	for i, kind := range []Type{
		RunSucceeded, RunFailed, RunSkipped, RunLate, JobFailing, JobRecovered, JobPaused, JobCompleted, JobOverdue,
		QueueUnattended, ConnectionDown, ConnectionRecovered,
	} {
		all[kind] = 1 << i
	}
	return all
}()

// SetOf returns a set of types.
func SetOf(types ...Type) (s Set) {
	for _, kind := range types {
		s |= bits[kind]
	}
	return s
}

// All are all types.
func All() Set { return 1<<len(bits) - 1 }

// Has reports whether the set has a type.
func (s Set) Has(kind Type) bool { return s&bits[kind] != 0 }

// What is announced between instances in the place of a queue. No queue has these names, because a
// qualified name has a slash.
const (
	// ChangedStartsOn says that a job that events start was created or changed.
	ChangedStartsOn = "starts-on"
	// Started says that there are runs to be made of what events have started.
	Started = "started"
)

// StartsOn says which events start a job. Its JSON is that of the contract's StartsOn.
type StartsOn struct {
	Events []Type `json:"events"`
	// Jobs are those of which the events have to be. Nil: all of the namespace.
	Jobs *Jobs `json:"jobs,omitempty"`
	// GroupWithinSeconds is for how long events are collected that start one run together. Zero:
	// each starts a run of its own.
	GroupWithinSeconds int32 `json:"groupWithinSeconds,omitempty"`
}

// Jobs selects jobs by their keys or by their labels.
type Jobs struct {
	Keys          []string `json:"keys,omitempty"`
	LabelSelector string   `json:"labelSelector,omitempty"`
}

// Fault says what is wrong with one field.
type Fault struct{ Field, Detail string }

// Check returns what the contract cannot say is wrong.
func (s *StartsOn) Check() (faults []Fault) {
	if s.Jobs == nil {
		return nil
	}
	for _, kind := range s.Events {
		switch kind {
		case QueueUnattended, ConnectionDown, ConnectionRecovered:
			faults = append(faults, Fault{"events", string(kind) + " cannot be combined with jobs"}, Fault{"jobs", "cannot be combined with " + string(kind)})
		default:
		}
	}
	if s.Jobs.LabelSelector != "" {
		if _, err := labels.ParseSelector(s.Jobs.LabelSelector); err != nil {
			faults = append(faults, Fault{"jobs.labelSelector", err.Error()})
		}
	}
	return faults
}
