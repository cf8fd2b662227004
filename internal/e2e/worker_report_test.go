package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// A report that is refused makes the run be executed again, so its form is never a reason to refuse it.
func TestReportIsRepaired(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	long := strings.Repeat("a", 4096)
	t.Run("complete", func(t *testing.T) {
		t.Parallel()
		for name, row := range map[string]struct {
			more, output string
			isTruncated  bool
		}{
			"without an output":    {more: ``},
			"null":                 {more: `,"output":null`},
			"NUL":                  {more: `,"output":"a\u0000b"`, output: "a\uFFFDb"},
			"half a pair":          {more: `,"output":"a\ud800"`, output: "a\uFFFD"},
			"a mark and half":      {more: `,"output":"\\ufffd\ud800"`, output: `\ufffd` + "\uFFFD"},
			"invalid UTF-8":        {more: ",\"output\":\"a\xff\"", output: "a\uFFFD"},
			"65 537 characters":    {more: `,"output":"` + strings.Repeat("a", 65537) + `"`, output: long, isTruncated: true},
			"more than 1 MiB":      {more: `,"output":"` + strings.Repeat("a", 1<<20) + `"`, output: long, isTruncated: true},
			"another type":         {more: `,"output":{"rows": 3}`, output: `{"rows": 3}`},
			"an unknown field":     {more: `,"output":"a","progress":[1]`, output: "a"},
			"the same field twice": {more: `,"output":"a","output":"b"`, output: "b"},
		} {
			service.due(t, pool, queued)
			run := service.leaseOne(t, "q")
			require.Equal(t, http.StatusNoContent, service.says(t, run, "complete", row.more), "%s", name)
			ended := service.readRun(t, run.Id)
			assert.Equal(t, client.RunStatusSUCCEEDED, ended.Status, "%s", name)
			assert.Equal(t, row.output, ended.Result.Output, "%s", name)
			assert.Equal(t, row.isTruncated, ended.Result.OutputIsTruncated, "%s: whether there was more", name)
		}
	})
	t.Run("fail", func(t *testing.T) {
		t.Parallel()
		for name, row := range map[string]struct{ more, want string }{
			"no error":          {``, "failed without saying why"},
			"an empty error":    {`,"error":""`, "failed without saying why"},
			"null":              {`,"error":null`, "failed without saying why"},
			"NUL":               {`,"error":"a\u0000b"`, "a\uFFFDb"},
			"half an emoji":     {`,"error":"a\ud83d"`, "a\uFFFD"},
			"4 097 characters":  {`,"error":"` + long + `a"`, long},
			"another type":      {`,"error":["a"]`, `["a"]`},
			"a wrong retryable": {`,"error":"a","retryable":"yes"`, "a"},
			"a far retry":       {`,"error":"a","retryAfterSeconds":1e300`, "a"},
			"a past retry":      {`,"error":"a","retryAfterSeconds":-1.5`, "a"},
			"no number":         {`,"error":"a","retryAfterSeconds":"soon"`, "a"},
		} {
			job := service.create(t, `{"name":"f","intervalInSeconds":3600,"maxAttempts":1,"target":{"type":"worker","queue":"f"}}`)
			service.startRun(t, job.Id, "")
			run := service.leaseOne(t, "f")
			require.Equal(t, http.StatusNoContent, service.says(t, run, "fail", row.more), "%s", name)
			ended := service.readRun(t, run.Id)
			assert.Equal(t, client.RunStatusFAILED, ended.Status, "%s", name)
			assert.Equal(t, row.want, *ended.Error, "%s", name)
		}
	})
}

func TestReportIsRefusedOnlyForWhatItIsAbout(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.due(t, pool, queued)
	run := service.leaseOne(t, "q")
	require.Equal(t, http.StatusRequestEntityTooLarge, service.says(t, run, "complete", `,"output":"`+strings.Repeat("a", 16<<20)+`"`))
	require.Equal(t, http.StatusBadRequest, service.says(t, run, "complete", `,"token":"another"`))
	require.Equal(t, http.StatusConflict, service.says(t, run, "complete", `,"token":1`))
	require.Equal(t, client.RunStatusRUNNING, service.readRun(t, run.Id).Status)
	service.complete(t, run, "")
}
