package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// What happens at one instance is seen at another, and a client that is interrupted goes on there.
func TestStream_ofTwoInstances(t *testing.T) {
	t.Parallel()
	database := app.DatabaseConfig{URL: testdb.New(t)}
	one := start(t, app.Config{Database: database})
	two := start(t, app.Config{Role: app.RoleAPI, Database: database})
	stream := two.follow(t, client.StreamEventsParams{})
	job := one.create(t, `{"name":"a","onDemand":true}`)
	run := one.startRun(t, job.Id, "")
	got := stream.next(t)
	require.Equal(t, "run.succeeded", got.Type)
	require.Equal(t, []string{"default", "a", "SUCCEEDED"}, []string{got.Data.Namespace, got.Data.JobName, got.Data.Status})
	one.waitForRun(t, run.Id, client.RunStatusSUCCEEDED)

	stream.stop()
	one.pause(t, job)
	again := one.follow(t, client.StreamEventsParams{LastEventID: &stream.last})
	two.pause(t, one.create(t, `{"name":"b","onDemand":true}`))
	again.requirePaused(t, "a", "b")

	require.NoError(t, one.stop())
	await(t, again.ended, "the end of the stream of an instance that stops")
	last := two.follow(t, client.StreamEventsParams{LastEventID: &again.last})
	two.pause(t, two.create(t, `{"name":"c","onDemand":true}`))
	last.requirePaused(t, "c")

	lost := two.follow(t, client.StreamEventsParams{LastEventID: new("1700000000000000-other-3-1")})
	what := lost.next(t)
	require.Equal(t, "events.lost", what.Type)
	require.EqualValues(t, 1_700_000_000, what.Data.From.Unix())
}

func TestStream_filters(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	wanted := service.create(t, `{"key":"one","name":"wanted","onDemand":true,"labels":{"team":"red"}}`)
	others := []client.Job{
		service.create(t, `{"key":"two","name":"other","onDemand":true,"labels":{"team":"blue"}}`),
		service.create(t, `{"name":"other","onDemand":true}`),
	}
	streams := map[string]*stream{}
	for name, params := range map[string]client.StreamEventsParams{
		"job": {JobId: &wanted.Id}, "key": {Key: &[]client.JobKeyGiven{"zero", "one"}},
		"labels": {LabelSelector: new("team=red")},
		"all":    {JobId: &wanted.Id, LabelSelector: new("team"), Type: &[]client.EventName{"job.paused", "run.failed"}},
	} {
		streams[name] = service.follow(t, params)
	}
	failures := service.follow(t, client.StreamEventsParams{Type: &[]client.EventName{"run.failed"}})
	for _, job := range append(others, wanted) {
		service.pause(t, job)
	}
	for _, s := range streams {
		s.requirePaused(t, "wanted")
	}
	require.Empty(t, failures.events)

	for _, params := range []client.StreamEventsParams{
		{LabelSelector: new("=")}, {Type: &[]client.EventName{"nothing"}}, {Key: &[]client.JobKeyGiven{}}, {LastEventID: new("")},
	} {
		response, err := service.StreamEvents(t.Context(), &params)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusBadRequest, response.StatusCode)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, service.url+"/api/v1/events", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, "HEAD follows nothing")
}

// A follower sees its namespace and no other, until its key is revoked.
func TestStream_keys(t *testing.T) {
	t.Parallel()
	service := newGuarded(t, app.Config{}, "red", "blue")
	_, root := service.key(t, "")
	id, redKey := service.key(t, "red", access.JobsRead)
	everywhere := service.as(t, root)
	red := service.as(t, redKey).follow(t, client.StreamEventsParams{})
	blue := everywhere.in(t, "blue").follow(t, client.StreamEventsParams{})
	for _, namespace := range []string{"blue", "red", "blue", "red"} {
		in := everywhere.in(t, namespace)
		in.pause(t, in.create(t, `{"name":"of `+namespace+`","onDemand":true}`))
	}
	for range 2 {
		red.requirePaused(t, "of red")
		blue.requirePaused(t, "of blue")
	}
	// The place in a stream says nothing of another namespace.
	wrong := service.as(t, redKey).follow(t, client.StreamEventsParams{LastEventID: &blue.last})
	wrong.requirePaused(t, "of red")

	require.NoError(t, keys.New(keys.Config{Pool: service.pool}).Revoke(t.Context(), access.Command("red"), id))
	await(t, red.ended, "the end of a stream whose key is revoked")
	select {
	case <-blue.ended:
		require.Fail(t, "another stream ends, too")
	default:
	}
	require.Empty(t, blue.events)
}
