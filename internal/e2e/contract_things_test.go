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
			"createConnection": "", "deleteConnection": "", "updateConnection": "", // connections_test.go
			"createKey": "", "changeJobs": "", "changeRuns": "", // idempotency_test.go
			"updateJob": "", // internal/jobs, since it takes an instance with other keys
		},
	}
}

// jobOf creates a job whose runs wait in a queue for workers.
func (i instance) jobOf(t *testing.T, queue string) uuid.UUID {
	t.Helper()
	return i.create(t, `{"name":"queued","cron":"* * * * *","target":{"type":"worker","queue":"`+queue+`"}}`).Id
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

// stricter lists fields whose rules a schema cannot express, so that the service may refuse more
// than the schema does. A refusal must still name the field. The keys are the operation, where the
// field is, and its name.
var stricter = map[string]string{
	"listJobs query cursor":                  "is one that the list gave",
	"listJobs query page":                    "reaches the first 10 000 jobs",
	"listJobRuns query cursor":               "is one that the list gave",
	"listRuns query cursor":                  "is one that the list gave",
	"listRuns query labelSelector":           "is a selector",
	"streamEvents query labelSelector":       "is a selector",
	"listJobs query labelSelector":           "is a selector",
	"changeRuns body cursor":                 "is one that the answer before gave",
	"changeRuns body selector.labelSelector": "is a selector",
	"listNamespaces query cursor":            "is one that the list gave",

	"listCalendars query cursor":     "is one that the list gave",
	"createCalendar body timeZone":   "is the name of a zone",
	"createCalendar body iCalendar":  "is an iCalendar file",
	"createCalendar body ranges":     "end after they begin",
	"createCalendar body yearly":     "are days of a year",
	"replaceCalendar body timeZone":  "is the name of a zone",
	"replaceCalendar body iCalendar": "is an iCalendar file",
	"replaceCalendar body ranges":    "end after they begin",
	"replaceCalendar body yearly":    "are days of a year",

	"createConnection body auth.type":             "belongs to the type",
	"createConnection body auth.username":         "belongs to the type",
	"createConnection body auth.password":         "belongs to the type",
	"createConnection body auth.token":            "belongs to the type",
	"createConnection body auth.tokenUrl":         "belongs to the type",
	"createConnection body auth.clientId":         "belongs to the type",
	"createConnection body auth.clientSecret":     "belongs to the type",
	"createConnection body auth.scopes":           "belongs to the type",
	"createConnection body auth.audience":         "belongs to the type",
	"updateConnection body auth.type":             "belongs to the type",
	"updateConnection body auth.username":         "belongs to the type",
	"updateConnection body auth.password":         "belongs to the type",
	"updateConnection body auth.token":            "belongs to the type",
	"updateConnection body auth.tokenUrl":         "belongs to the type",
	"updateConnection body auth.clientId":         "belongs to the type",
	"updateConnection body auth.clientSecret":     "belongs to the type",
	"updateConnection body auth.scopes":           "belongs to the type",
	"updateConnection body auth.audience":         "belongs to the type",
	"listConnections query cursor":                "is one that the list gave",
	"createConnection body key":                   "is not that of another connection",
	"createConnection body baseUrl":               "is a URL that may be reached",
	"updateConnection body baseUrl":               "is a URL that may be reached, and needs the secrets that go there",
	"createConnection body signingSecrets.0":      "is a key of Standard Webhooks",
	"updateConnection body signingSecrets.0":      "is a key of Standard Webhooks",
	"createConnection body tls.ca":                "is a certificate",
	"updateConnection body tls.ca":                "is a certificate",
	"createConnection body tls.clientCertificate": "is given together with the other",
	"updateConnection body tls.clientCertificate": "is given together with the other",
	"createConnection body tls.clientKey":         "is given together with the other",
	"updateConnection body tls.clientKey":         "is given together with the other",

	"listJobVersions query cursor": "is one that the list gave",
	"listAudit query cursor":       "is one that the list gave",
	"listKeys query cursor":        "is one that the list gave",
	"listQueues query cursor":      "is one that the list gave",

	"createKey body queues":    "is given together with the scope workers",
	"createKey body expiresAt": "is in the future",

	"changeJobs body action":                 "is what the other fields are for",
	"changeJobs body patch":                  "is given with PATCH",
	"changeJobs body pauseUntil":             "is given with PAUSE, and in the future",
	"changeJobs body pauseId":                "is given with PAUSE",
	"changeJobs body cursor":                 "is one that the answer before gave",
	"changeJobs body selector.labelSelector": "is a selector",
	"createJob body labels.extra":            "has the form of a label",
	"updateJob body labels.extra":            "has the form of a label",

	"putJobByKey body key":             "is the one in the path",
	"applyJobs body definitions":       "has no key twice",
	"applyJobs body definitions.0.key": "is given",
	"applyJobs body prune":             "is a selector",

	"createJob body key":                     "is not that of another job",
	"createJob body target.url":              "is a URL that may be reached",
	"createJob body target.signingSecrets.0": "is a key of Standard Webhooks",
	"updateJob body target.url":              "is a URL that may be reached",
	"updateJob body target.signingSecrets.0": "is a key of Standard Webhooks",
	"updateJob body statusReason":            "is given together with the status",
	"createJob body concurrencyGroup":        "is given together with the other",
	"createJob body maxConcurrency":          "is given together with the other",
	"updateJob body concurrencyGroup":        "is given together with the other",
	"updateJob body maxConcurrency":          "is given together with the other",
	"createJob body intervalInSeconds":       "is the only kind of schedule",
	"createJob body cron":                    "is one, and the only kind of schedule",
	"createJob body runAt":                   "is in the future, and the only kind of schedule",
	"createJob body timeZone":                "is a zone, and of a cron",
	"createJob body startAt":                 "leaves something to be due",
	"createJob body endAt":                   "leaves something to be due",
	"createJob body minBackoffSeconds":       "is at most maxBackoffSeconds",
	"createJob body maxBackoffSeconds":       "is at least minBackoffSeconds",
	"updateJob body intervalInSeconds":       "is the only kind of schedule",
	"updateJob body cron":                    "is one, and the only kind of schedule",
	"updateJob body runAt":                   "is in the future, and the only kind of schedule",
	"updateJob body timeZone":                "is a zone, and of a cron",
	"updateJob body startAt":                 "leaves something to be due",
	"updateJob body endAt":                   "leaves something to be due",
	"updateJob body minBackoffSeconds":       "is at most maxBackoffSeconds",
	"updateJob body maxBackoffSeconds":       "is at least minBackoffSeconds",
	"previewSchedule body intervalInSeconds": "is the only kind of schedule",
	"previewSchedule body cron":              "is one, and the only kind of schedule",
	"previewSchedule body runAt":             "is in the future, and the only kind of schedule",
	"previewSchedule body timeZone":          "is a zone, and of a cron",
	"previewSchedule body startAt":           "leaves something to be due",
	"previewSchedule body endAt":             "leaves something to be due",
}

// ofJobs are the operations with the fields of createJob in their bodies, and what stands before
// them there.
var ofJobs = map[string]string{"putJobByKey": "", "applyJobs": "definitions.0.", "createJobs": "jobs.0."}
