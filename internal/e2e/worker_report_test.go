package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

func TestReport(t *testing.T) {
	t.Parallel()
	// A report that is refused makes the run be executed again, so its form is never a reason.
	t.Run("is repaired", func(t *testing.T) {
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
				job := service.create(
					t,
					`{"name":"f","intervalInSeconds":3600,"maxAttempts":1,"target":{"type":"worker","queue":"f"}}`,
				)
				service.startRun(t, job.Id, "")
				run := service.leaseOne(t, "f")
				require.Equal(t, http.StatusNoContent, service.says(t, run, "fail", row.more), "%s", name)
				ended := service.readRun(t, run.Id)
				assert.Equal(t, client.RunStatusFAILED, ended.Status, "%s", name)
				assert.Equal(t, row.want, *ended.Error, "%s", name)
			}
		})
	})
	t.Run("is refused only for the run that it is about", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		service.due(t, pool, queued)
		run := service.leaseOne(t, "q")
		require.Equal(
			t,
			http.StatusRequestEntityTooLarge,
			service.says(t, run, "complete", `,"output":"`+strings.Repeat("a", 16<<20)+`"`),
		)
		require.Equal(t, http.StatusBadRequest, service.says(t, run, "complete", `,"token":"another"`))
		require.Equal(t, http.StatusConflict, service.says(t, run, "complete", `,"token":1`))
		require.Equal(t, client.RunStatusRUNNING, service.readRun(t, run.Id).Status)
		service.complete(t, run, "")
	})
	t.Run("is kept with its run", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		service.due(t, pool, queued+`,"maxAttempts":3,"minBackoffSeconds":0,"maxBackoffSeconds":0`)
		run := service.leaseOne(t, "q")
		service.fail(t, run, `,"error":"no luck","output":"half","retryAfterSeconds":3600`)
		require.Equal(
			t,
			1,
			count(t, pool, `select count(*) from due where ready_at > now() + interval '55 minutes'`),
			"it waits as long as it was told to",
		)
		require.Equal(t, http.StatusConflict, service.says(t, run, "fail", `,"error":"again"`), "it has said so")
		age(t, pool, run.JobId, time.Hour)
		_, err := pool.Exec(t.Context(), `update due set started_at = later(started_at, -interval '1 hour')`)
		require.NoError(t, err)

		run = service.leaseOne(t, "q")
		require.EqualValues(t, 2, run.Attempt)
		failed := service.readRun(t, run.Id).FailedAttempts
		require.Len(t, failed, 1)
		require.Equal(t, "no luck", failed[0].Error)
		require.Equal(t, "half", failed[0].Result.Output)
		service.complete(t, run, `,"output":"`+strings.Repeat("é", 3000)+`"`)
		ended := service.readRun(t, run.Id)
		require.Equal(t, client.RunStatusSUCCEEDED, ended.Status)
		require.Equal(t, strings.Repeat("é", 2048), ended.Result.Output, "the first 4 KiB")
		require.True(t, ended.Result.OutputIsTruncated)
		require.Nil(t, ended.Result.StatusCode)
		require.Len(t, ended.FailedAttempts, 1)
	})
	t.Run("of a final failure", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		service.due(t, pool, queued)
		run := service.leaseOne(t, "q")
		service.fail(t, run, `,"error":"never","retryable":false`)
		ended := service.readRun(t, run.Id)
		require.Equal(t, client.RunStatusFAILED, ended.Status)
		require.Equal(t, "never", *ended.Error)
		require.EqualValues(t, 1, ended.Attempt)
		require.Nil(t, ended.Reason)
	})
}
