package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// thing is a job, run, queue or lease, for an operation to ask for.
type thing struct {
	id string
	// fields must be in the body of a request about it.
	fields map[string]any
	// more is what a derived body has, too, so that more can be asked for.
	more map[string]any
}

// in returns the body with the fields of the thing.
func (g thing) in(body any) any {
	return with(body, g.fields)
}

// with returns the body with more fields.
func with(body any, fields map[string]any) any {
	if len(fields) == 0 {
		return body
	}
	out := maps.Clone(body.(map[string]any))
	maps.Copy(out, fields)
	return out
}

// things make what operations ask for.
type things struct {
	// makers return a thing. Their keys are the operation for which it is ready, or the path
	// segment before its id for all other operations.
	makers map[string]func(*testing.T) thing
	// conflicts are the ids of things that are not ready for an operation. An empty id means that
	// another test has the conflict.
	conflicts map[string]string
}

func (g things) of(t *testing.T, op *operation, segment string) thing {
	t.Helper()
	makeOne := g.makers[op.OperationID]
	if makeOne == nil {
		makeOne = g.makers[segment]
	}
	require.NotNil(t, makeOne, "things has nothing for %s %s", op.method, op.path)
	return makeOne(t)
}

// newThings makes things in a service that does not execute runs.
func newThings(t *testing.T, service instance) things {
	t.Helper()
	always := func(id fmt.Stringer) func(*testing.T) thing {
		return func(*testing.T) thing { return thing{id: id.String()} }
	}
	open := service.runOf(t, "nobody")
	held := service.leaseOf(t, "held", 1)
	ended := service.leaseOf(t, "ended", 1)
	failed := ended.Runs[0]
	failure, err := service.FailRunWithResponse(t.Context(), failed.Id, client.RunFailure{
		Token: failed.Token, Error: "failed", Retryable: new(false), Output: new("output"),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, failure.StatusCode(), "failed: %s", failure.Body)

	return things{
		makers: map[string]func(*testing.T) thing{
			"jobs": func(t *testing.T) thing {
				t.Helper()
				return thing{id: service.createJob(t, "sample", 3600, `{"a":1}`).Id.String()}
			},
			"by-key": func(t *testing.T) thing {
				t.Helper()
				key := "sample/" + uuid.NewString()
				service.create(t, `{"key":"`+key+`","name":"sample","intervalInSeconds":3600}`)
				return thing{id: url.PathEscape(key)}
			},
			"versions":    func(*testing.T) thing { return thing{id: "1"} },
			"listJobRuns": always(failed.JobId),
			"getJobStats": always(failed.JobId),
			"runs":        always(failed.Id),
			"cancelRun": func(t *testing.T) thing {
				t.Helper()
				return thing{id: service.runOf(t, "nobody").Id.String()}
			},
			"changeJobs": func(*testing.T) thing {
				return thing{more: map[string]any{"action": "PATCH", "patch": map[string]any{"name": "x"}}}
			},
			"completeRun": service.leasedRuns(t, "complete"),
			"failRun":     service.leasedRuns(t, "fail"),
			"releaseRun":  service.leasedRuns(t, "release"),
			"queues": func(t *testing.T) thing {
				t.Helper()
				queue := "q-" + uuid.NewString()
				service.runOf(t, queue)
				return thing{id: queue}
			},
			"leases": always(held.Id),
			"keys": func(t *testing.T) thing {
				t.Helper()
				return thing{id: service.createKey(t, client.KeyCreate{}).Id}
			},
			"calendars": func(t *testing.T) thing {
				t.Helper()
				return thing{id: service.calendar(t, `{"key":"c-`+uuid.NewString()+`"}`).Key}
			},
			"connections": func(t *testing.T) thing {
				t.Helper()
				return thing{id: service.connection(t, `{"key":"c-`+uuid.NewString()+`","baseUrl":"https://example.com"}`).Key}
			},
			"namespaces": func(t *testing.T) thing {
				t.Helper()
				return thing{id: service.namespace(t, client.NamespaceCreate{}).Name}
			},
		},
		conflicts: map[string]string{
			"cancelRun": failed.Id.String(), "retryRun": open.Id.String(),
			"completeRun": open.Id.String(), "failRun": failed.Id.String(), "releaseRun": open.Id.String(),
			"heartbeat":       ended.Id.String(),
			"deleteNamespace": "default", "createNamespace": "", "createJob": "", "runJob": "", "backfillJob": "", // namespaces_test.go
			"putJobByKey": "", "applyJobs": "", "createJobs": "", // namespaces_test.go, apply_test.go
			"createCalendar": "", "deleteCalendar": "", // calendars_test.go
			"createConnection": "", "deleteConnection": "", "updateConnection": "", // connections_test.go
			"createKey": "", "changeJobs": "", "changeRuns": "", // idempotency_test.go
			"updateJob": "", // internal/jobs, since it takes an instance with other keys
		},
	}
}

// jobOf creates a job whose runs wait in a queue for workers. It is paused, so that it has no run
// that nobody asks for.
func (i instance) jobOf(t *testing.T, queue string) uuid.UUID {
	t.Helper()
	job := i.create(t, `{"name":"queued","cron":"* * * * *","target":{"type":"worker","queue":"`+queue+`"}}`)
	i.pause(t, job)
	return job.Id
}

// runOf starts a run that is due in a queue.
func (i instance) runOf(t *testing.T, queue string) client.Run {
	t.Helper()
	started, err := i.RunJobWithResponse(t.Context(), i.jobOf(t, queue), nil, client.RunStart{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, started.StatusCode(), "started: %s", started.Body)
	return *started.JSON202
}

// leaseOf makes runs that are due in a queue and leases them.
func (i instance) leaseOf(t *testing.T, queue string, runs int) client.Lease {
	t.Helper()
	to := time.Now().UTC().Truncate(time.Minute).Add(-time.Minute)
	from := to.Add(-time.Duration(runs-1) * time.Minute)
	filled, err := i.BackfillJobWithResponse(t.Context(), i.jobOf(t, queue), nil, client.BackfillWindow{From: from, To: to})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, filled.StatusCode(), "backfilled: %s", filled.Body)
	leased, err := i.LeaseRunsWithResponse(t.Context(), queue, client.LeaseRequest{
		MaxRuns: new(int32(runs)), LeaseSeconds: new(int32(3600)), WaitSeconds: new(int32(0)),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, leased.StatusCode(), "leased: %s", leased.Body)
	require.Len(t, leased.JSON200.Runs, runs, "all of them are leased")
	return *leased.JSON200
}

// leasedRuns returns a maker of leased runs. They all have the same token, because one claim took
// them.
func (i instance) leasedRuns(t *testing.T, queue string) func(*testing.T) thing {
	t.Helper()
	runs := i.leaseOf(t, queue, 100).Runs
	return func(t *testing.T) thing {
		t.Helper()
		require.NotEmpty(t, runs, "there is a leased run left")
		run := runs[0]
		runs = runs[1:]
		return thing{id: run.Id.String(), fields: map[string]any{"token": run.Token}}
	}
}
