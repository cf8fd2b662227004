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
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/require"

	"punctual/gen/server"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// TestContract sends requests that openapi.yaml allows and requests that it forbids to each
// operation, and checks each response against it. All of them are derived from the contract, so a
// new operation or field is covered. It may need a line in newThings, which makes jobs and runs to
// ask for, or in stricter.
func TestContract(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	for _, path := range c.spec.Paths.InMatchingOrder() {
		item := c.spec.Paths.Value(path)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			op := &operation{Operation: item.GetOperation(method), method: method, path: path, item: item}
			t.Run(op.OperationID, func(t *testing.T) {
				t.Parallel()
				c.sendAll(t, sampled(c.operationProbes(t, op)))
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

// sampleOf is which part of the probes of jobs within a request is sent: one of so many.
const sampleOf = 10

// sampled leaves out most probes of the fields of a job within a list of jobs or a change of many.
// They are the fields of createJob and updateJob, to which all probes are sent.
func sampled(all []probe) (some []probe) {
	n := 0
	for _, p := range all {
		first, rest, _ := strings.Cut(p.field, ".")
		if p.in == "body" && rest != "" && slices.Contains([]string{"jobs", "definitions", "patch"}, first) {
			if n++; n%sampleOf != 0 {
				continue
			}
		}
		some = append(some, p)
	}
	return some
}

// contract is a service and its contract.
type contract struct {
	spec   *openapi3.T
	url    string
	http   *http.Client
	things things
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
	service := start(t, app.Config{
		Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}, SecretKeys: keyring(t, "contract"),
	})
	c := contractOf(t, service.url)
	c.things = newThings(t, service)
	return c
}

// contractOf returns the contract of a service, without things to ask for.
func contractOf(t *testing.T, url string) *contract {
	t.Helper()
	openapi3filter.RegisterBodyDecoder("image/svg+xml", openapi3filter.FileBodyDecoder)
	spec, err := server.GetSpec()
	require.NoError(t, err)
	for _, op := range operations(spec) {
		for _, response := range op.Responses.Map() {
			for _, media := range response.Value.Content {
				walkSchema(media.Schema, func(_ string, s *openapi3.Schema) {
					if s.Type.Is("object") && s.AdditionalProperties.Schema == nil {
						// A later version may return more fields. This version returns no
						// undocumented ones.
						s.AdditionalProperties.Has = new(false)
					}
				})
			}
		}
	}
	return &contract{
		spec: spec, url: url,
		http: &http.Client{
			Timeout: 20 * time.Second,
			// The contract has no redirects, so one is an answer to be checked.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// maxFailures is how many failures of one operation are printed. They mostly have one cause.
const maxFailures = 30

// operationProbes are the requests to one operation.
func (c *contract) operationProbes(t *testing.T, op *operation) []probe {
	t.Helper()
	return slices.Concat([]probe{c.valid(t, op)}, c.conflictProbes(t, op), c.pathProbes(t, op), c.parameterProbes(t, op), c.bodyProbes(t, op))
}

// conflictProbes ask for a thing that is not ready for the operation, if the contract has a 409 for
// it.
func (c *contract) conflictProbes(t *testing.T, op *operation) []probe {
	t.Helper()
	if op.Responses.Status(http.StatusConflict) == nil {
		return nil
	}
	id, ok := c.things.conflicts[op.OperationID]
	require.True(t, ok, "things has no conflict for %s", op.OperationID)
	if id == "" {
		return nil
	}
	p := c.valid(t, op)
	p.name, p.path = "conflict", strings.Replace(p.path, p.thing.id, id, 1)
	p.verdict, p.status = refused, http.StatusConflict
	return []probe{p}
}

// methodProbes are the methods that a path does not have.
func (c *contract) methodProbes(t *testing.T, path string, item *openapi3.PathItem) (probes []probe) {
	t.Helper()
	op := &operation{Operation: &openapi3.Operation{}, path: path, item: item}
	allowed := slices.Collect(maps.Keys(item.Operations()))
	if item.Get != nil {
		allowed = append(allowed, http.MethodHead) // each GET answers HEAD, too
	}
	slices.Sort(allowed)
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

// unknownPathProbes ask for paths that are similar to those of the contract.
func (c *contract) unknownPathProbes(t *testing.T) (probes []probe) {
	t.Helper()
	paths := []string{"/nope", "/api", "/api/", "/api/v1", "/api/v1/nope", "/api/v2/jobs", "/%00", "/%ff", "/api/v1/%2e%2e/livez"}
	for _, template := range c.spec.Paths.InMatchingOrder() {
		path := c.valid(t, &operation{Operation: &openapi3.Operation{}, path: template, item: c.spec.Paths.Value(template)}).path
		paths = append(paths, path+"/", path+"/nope/nope", "/"+path, strings.ToUpper(path), "/./"+path[1:], path+"%00", path+".json")
	}
	for _, path := range paths {
		if c.isTemplate(path) {
			continue // the path is right and its id is wrong
		}
		for _, method := range []string{"GET", "POST"} {
			probes = append(probes, probe{
				name: "unknown path", method: method, path: path, verdict: refused, status: http.StatusNotFound,
			})
		}
	}
	return probes
}

// isTemplate reports whether a path has the form of one of the contract, with any values of
// parameters.
func (c *contract) isTemplate(path string) bool {
	return slices.ContainsFunc(c.spec.Paths.InMatchingOrder(), func(template string) bool { return isOf(path, template) })
}

// parameters returns the parameters of the operation and of its path.
func (op *operation) parameters(in string) []*openapi3.Parameter {
	var all []*openapi3.Parameter
	for _, p := range slices.Concat(op.item.Parameters, op.Parameters) {
		if p.Value.In == in {
			all = append(all, p.Value)
		}
	}
	return all
}

// body returns the media type of the operation's body, or nil.
func (op *operation) body() *openapi3.MediaType {
	if op.RequestBody == nil {
		return nil
	}
	return op.RequestBody.Value.Content.Get("application/json")
}

// verdict returns v, unless the service is stricter there than the schema from which v was derived.
func (op *operation) verdict(v verdict, in, field string) verdict {
	if before, ok := ofJobs[op.OperationID]; ok && in == "body" && v == accepted {
		if of, ok := strings.CutPrefix(field, before); ok && stricter["createJob body "+of] != "" {
			return either
		}
	}
	if v == accepted && stricter[op.OperationID+" "+in+" "+field] != "" {
		return either
	}
	return v
}
