package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// The command line prints what happens, on a line each, and goes on after an event.
func TestCommandLine_followsEvents(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.create(t, `{"key":"one","name":"wanted","onDemand":true}`)
	seen := service.follow(t, client.StreamEventsParams{})
	for _, key := range []string{"first", "second"} {
		service.pause(t, service.create(t, `{"key":"`+key+`","name":"other","onDemand":true}`))
		seen.requirePaused(t, "other")
	}
	service.pause(t, job)
	after := seen.last
	seen.requirePaused(t, "wanted")
	const follow = "timeout --preserve-status -s INT 4 punctual events --after "

	got := service.shell(t, t.TempDir(), nil, follow+after)
	require.Zero(t, got.code, "Ctrl-C is how following ends: %s", got.err)
	require.Regexp(t, `^20\S+Z  job\.paused +one$`, strings.TrimSpace(got.out))
	got = service.shell(t, t.TempDir(), nil, follow+after+" -o json --job one --type job.paused,run.failed")
	require.Zero(t, got.code, got.err)
	var what happened
	require.NoError(t, json.Unmarshal([]byte(got.out), &what), got.out)
	require.Equal(t, "wanted", what.Data.JobName)
	got = service.shell(t, t.TempDir(), nil, follow+"nobody-knows-this-1 -o name")
	require.Zero(t, got.code, got.err)
	require.Equal(t, 1, strings.Count(got.out, "\n"), "a loss is an event, too")

	got = service.punctual(t, nil, "events", "-l", "=")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.err, "is not a label selector")
	require.NotContains(t, got.err, http.StatusText(http.StatusBadRequest)+" 400")
	got = service.punctual(t, nil, "events", "--url", "http://127.0.0.1:1")
	require.Equal(t, 4, got.code, got.err)
}
