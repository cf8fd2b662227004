package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual"
	"punctual/internal/runid"
)

// TestContractExamples checks that the examples of the contract are what the service takes and
// makes.
func TestContractExamples(t *testing.T) {
	t.Parallel()
	c := newContract(t)

	t.Run("requests are accepted", func(t *testing.T) {
		t.Parallel()
		for _, op := range operations(c.spec) {
			media := op.body()
			if media == nil {
				continue
			}
			require.NotEmpty(t, media.Examples, op.OperationID)
			for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
				example := c.valid(t, op)
				example.name = name
				example.body = encode(example.thing.in(media.Examples[name].Value.Value))
				c.sendAll(t, []probe{example})
			}
		}
	})
	t.Run("Job is one that the service makes", func(t *testing.T) {
		t.Parallel()
		example := c.example("Job")
		definition := map[string]any{}
		for name := range c.spec.Components.Schemas["JobCreate"].Value.Properties {
			if example[name] != nil {
				definition[name] = example[name]
			}
		}
		target := maps.Clone(example["target"].(map[string]any))
		target["signingSecrets"] = []string{signingSecret}
		definition["target"] = target
		made := c.sendJSON(t, "/api/v1/jobs", definition)
		for _, name := range []string{"id", "createdAt", "updatedAt", "nextRunAt", "lastRunAt", "lastRun", "health", "runCount"} {
			delete(made, name)
			require.Contains(t, example, name)
			delete(example, name)
		}
		require.Equal(t, example, made)
	})
	t.Run("none is of a parameter that may be left out, because Swagger UI would send it", func(t *testing.T) {
		t.Parallel()
		for _, op := range operations(c.spec) {
			for _, p := range append(op.Parameters, op.item.Parameters...) {
				require.False(t, !p.Value.Required && (p.Value.Example != nil || p.Value.Schema.Value.Example != nil),
					"%s: %s", op.OperationID, p.Value.Name)
			}
		}
	})
	t.Run("the first preview is answered with the example", func(t *testing.T) {
		t.Parallel()
		op := c.spec.Paths.Value("/api/v1/schedules/preview").Post
		request := op.RequestBody.Value.Content.Get("application/json").Examples["cron"].Value.Value
		require.Equal(t, c.example("OccurrenceList"), c.sendJSON(t, "/api/v1/schedules/preview", request))
	})
	t.Run("ids of runs are made of the job and the instant", func(t *testing.T) {
		t.Parallel()
		runs := []map[string]any{c.example("Run")}
		for _, example := range c.spec.Components.Examples {
			runs = append(runs, example.Value.Value.(map[string]any))
		}
		for _, leased := range c.example("Lease")["runs"].([]any) {
			runs = append(runs, leased.(map[string]any))
		}
		job := uuid.MustParse(c.example("Job")["id"].(string))
		for _, run := range runs {
			scheduledFor, err := time.Parse(time.RFC3339, run["scheduledFor"].(string))
			require.NoError(t, err)
			assert.Equal(t, runid.New(job, scheduledFor).String(), run["id"])
			assert.Equal(t, job.String(), run["jobId"])
		}
	})
	t.Run("the first examples do no harm", func(t *testing.T) {
		t.Parallel()
		// Swagger UI selects them.
		require.Regexp(t, `(?s)JobCreate" }\s+examples:\s+interval:.*JobUpdate" }\s+examples:\s+pause:`, string(punctual.OpenAPI))
	})
}

// example returns a copy of a schema's example.
func (c *contract) example(schema string) map[string]any {
	return maps.Clone(c.spec.Components.Schemas[schema].Value.Example.(map[string]any))
}

// sendJSON posts a body and returns the body of the successful response.
func (c *contract) sendJSON(t *testing.T, path string, body any) (response map[string]any) {
	t.Helper()
	got, err := c.send(t, probe{
		method: http.MethodPost, path: path, header: http.Header{"Content-Type": {"application/json"}}, body: encode(body),
	})
	require.NoError(t, err)
	require.Less(t, got.StatusCode, 300, "%s", got.body)
	require.NoError(t, json.Unmarshal(got.body, &response))
	return response
}
