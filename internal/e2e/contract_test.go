package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"punctual/gen/api"
)

// stricter names what the service may refuse though the contract's schema allows it, because there is more to it than
// a schema can say. Such a refusal still has to name the field. Keys are the operation, where it is, and its name.
var stricter = map[string]string{
	"listJobs query cursor":    "is one that the list gave",
	"listJobs query page":      "reaches the first 10 000 jobs",
	"listJobRuns query cursor": "is one that the list gave",

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

// TestContract sends what openapi.yaml allows and, derived from it, what it forbids, to every operation, and holds each
// answer to it. A new operation or field is covered by being written there; at most it needs a line in things, for an
// id to ask for, or in stricter.
func TestContract(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	for _, path := range c.spec.Paths.InMatchingOrder() {
		item := c.spec.Paths.Value(path)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			op := &operation{Operation: item.GetOperation(method), method: method, path: path, item: item}
			t.Run(op.OperationID, func(t *testing.T) {
				t.Parallel()
				c.sendAll(t, c.operationProbes(t, op))
			})
		}
		t.Run("methods of "+path, func(t *testing.T) {
			t.Parallel()
			c.sendAll(t, c.methodProbes(t, path, item))
		})
	}
	t.Run("unknown paths", func(t *testing.T) {
		t.Parallel()
		c.sendAll(t, c.unknownPathProbes(t))
	})
	t.Cleanup(func() { t.Logf("%d requests to %d paths", c.sent.Load(), c.spec.Paths.Len()) })
}

// contract is a service and what it promised.
type contract struct {
	spec *openapi3.T
	url  string
	http *http.Client
	// things returns the id of something there is, by the path segment that goes before the id.
	things map[string]func(*testing.T) string
	sent   atomic.Int64
}

// operation is one method of one path.
type operation struct {
	*openapi3.Operation
	method, path string
	item         *openapi3.PathItem
}

func newContract(t *testing.T) *contract {
	t.Helper()
	service, db := setup(t)
	spec, err := api.GetSpec()
	require.NoError(t, err)

	job := func(t *testing.T) string {
		t.Helper()
		return service.createJob(t, "sample", 3600, `{"a":1}`).Id.String()
	}
	ran := service.createJob(t, "has run", 3600, `null`).Id
	age(t, db, ran, time.Hour)
	require.Equal(t, 1, service.pass(t), "one run is executed")
	run := service.listRuns(t, ran)[0].Id.String()

	return &contract{
		spec: spec, url: service.url,
		http: &http.Client{
			Timeout: 20 * time.Second,
			// A redirect is an answer like any other, and not one that the contract has.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		things: map[string]func(*testing.T) string{
			"jobs": job, "runs": func(*testing.T) string { return run }, "queues": func(*testing.T) string { return "empty" },
		},
	}
}

// maxFailures is how many failures of one operation are printed: they mostly have one cause.
const maxFailures = 30

// operationProbes are the requests to one operation.
func (c *contract) operationProbes(t *testing.T, op *operation) []probe {
	t.Helper()
	return slices.Concat([]probe{c.valid(t, op)}, c.pathProbes(t, op), c.parameterProbes(t, op), c.bodyProbes(t, op))
}

// methodProbes are the methods that a path does not have.
func (c *contract) methodProbes(t *testing.T, path string, item *openapi3.PathItem) (probes []probe) {
	t.Helper()
	op := &operation{Operation: &openapi3.Operation{}, path: path, item: item}
	allowed := slices.Sorted(maps.Keys(item.Operations()))
	for _, method := range []string{
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "BREW", "get",
	} {
		if slices.Contains(allowed, method) {
			continue
		}
		p := c.valid(t, op)
		p.name, p.operation, p.method = method, nil, method
		p.verdict, p.status, p.allow = refused, http.StatusMethodNotAllowed, allowed
		probes = append(probes, p)
	}
	return probes
}

// unknownPathProbes ask for what is near to a path of the contract, but not one.
func (c *contract) unknownPathProbes(t *testing.T) (probes []probe) {
	t.Helper()
	paths := []string{"/nope", "/api", "/api/", "/api/v1", "/api/v1/nope", "/api/v2/jobs", "/%00", "/%ff", "/api/v1/%2e%2e/livez"}
	for _, template := range c.spec.Paths.InMatchingOrder() {
		path := c.valid(t, &operation{Operation: &openapi3.Operation{}, path: template, item: c.spec.Paths.Value(template)}).path
		paths = append(paths, path+"/", path+"/nope/nope", "/"+path, strings.ToUpper(path), "/./"+path[1:], path+"%00", path+".json")
	}
	for _, path := range paths {
		if c.isTemplate(path) {
			continue // it is an id that is wrong, not the path
		}
		for _, method := range []string{"GET", "POST"} {
			probes = append(probes, probe{
				name: "unknown path", method: method, path: path, verdict: refused, status: http.StatusNotFound,
			})
		}
	}
	return probes
}

// isTemplate says whether a path has the form of one of the contract, whatever stands for its parameters.
func (c *contract) isTemplate(path string) bool {
	segments := strings.Split(path, "/")
	return slices.ContainsFunc(c.spec.Paths.InMatchingOrder(), func(template string) bool {
		return slices.EqualFunc(strings.Split(template, "/"), segments, func(want, got string) bool {
			return want == got || (strings.HasPrefix(want, "{") && got != "")
		})
	})
}

// parameters are those of the operation and of its path.
func (op *operation) parameters(in string) []*openapi3.Parameter {
	var all []*openapi3.Parameter
	for _, p := range slices.Concat(op.item.Parameters, op.Parameters) {
		if p.Value.In == in {
			all = append(all, p.Value)
		}
	}
	return all
}

// body is the schema of the operation's body, or nil.
func (op *operation) body() *openapi3.MediaType {
	if op.RequestBody == nil {
		return nil
	}
	return op.RequestBody.Value.Content.Get("application/json")
}

// verdict is v, unless the service is stricter there than the schema by which v was found.
func (op *operation) verdict(v verdict, in, field string) verdict {
	if v == accepted && stricter[op.OperationID+" "+in+" "+field] != "" {
		return either
	}
	return v
}
