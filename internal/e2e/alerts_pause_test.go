package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// Each way of pausing a job is told once, with who did it and why. Either of two instances may
// pause it. The second one starts when the alerts are there: it would hear of them a moment later.
func TestEachPauseIsToldOnce(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	t.Cleanup(gone.Close)
	url := testdb.New(t)
	config := reachable(t, app.Config{Database: app.DatabaseConfig{URL: url}}, gone.URL)
	service := start(t, config)
	const onDemand, perSecond = `"onDemand":true`, `"intervalInSeconds":1`
	target := `,"target":{"type":"http","url":"` + gone.URL + `"}`
	const fails = `,"maxAttempts":1,"pauseAfterFailures":1,"target":{"type":"http","url":"http://127.0.0.1:80/"}`
	byHand := func(body string) func(*testing.T, instance, client.Job) {
		return func(t *testing.T, team instance, job client.Job) {
			t.Helper()
			team.patch(t, job.Id, body)
		}
	}
	run := func(t *testing.T, team instance, job client.Job) {
		t.Helper()
		team.startRun(t, job.Id, "")
	}
	wait := func(*testing.T, instance, client.Job) {}
	cases := map[string]struct {
		job           string
		pause         func(t *testing.T, team instance, job client.Job)
		actor, reason string
	}{
		"by hand":          {onDemand, byHand(`{"status":"PAUSED","statusReason":"why"}`), "anonymous", "why"},
		"until an instant": {onDemand, byHand(`{"status":"PAUSED","pauseUntil":"2999-01-01T00:00:00Z","statusReason":"why"}`), "anonymous", "why"},
		"with others": {onDemand, func(t *testing.T, team instance, _ client.Job) {
			t.Helper()
			requireCounts(t, team.bulk(t, `{"selector":{"labelSelector":"watched"},"action":"PAUSE","reason":"why"}`), 1, 0, 0)
		}, "anonymous", "why"},
		"410 to an occurrence":            {perSecond + target, wait, "system", "the target answered 410 Gone"},
		"410 to a run by hand":            {onDemand + target, run, "system", "the target answered 410 Gone"},
		"an occurrence that failed":       {perSecond + fails, wait, "system", "1 run failed"},
		"a run that failed, off schedule": {onDemand + fails, run, "system", "1 run failed"},
		"with its namespace": {onDemand, func(t *testing.T, _ instance, job client.Job) {
			t.Helper()
			service.updateNamespace(t, job.Namespace, client.NamespaceUpdate{Suspended: new(true)})
		}, "system", "The namespace is suspended."},
	}
	teams, alerts := map[string]instance{}, map[string]client.Job{}
	for name := range cases {
		teams[name] = service.in(t, service.namespace(t, client.NamespaceCreate{}).Name)
		alerts[name] = teams[name].create(t, `{"name":"alert","startsOn":{"events":["job.paused"],"jobs":{"labelSelector":"watched"}}}`)
	}
	start(t, config)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			team, alert := teams[name], alerts[name]
			s := team.follow(t, client.StreamEventsParams{Type: &[]client.EventName{"job.paused"}, LabelSelector: new("watched")})
			job := team.create(t, `{"name":"watched","labels":{"watched":""},`+c.job+`}`)
			c.pause(t, team, job)
			s.requirePaused(t, "watched")
			require.Equal(t, client.JobStatusPAUSED, team.getJob(t, job.Id).Status)
			found := team.awaitAlerts(t, alert, 1)[0]
			var told client.JobEvent
			require.NoError(t, json.Unmarshal(team.readRun(t, found.Id).Payload, &told))
			require.Equal(t, c.actor, *told.Data.Actor)
			require.Contains(t, *told.Data.StatusReason, c.reason)
			team.patch(t, job.Id, `{"statusReason":"still"}`) // which is no pause
			if name == "with its namespace" {                 // in which nothing can go on
				team.awaitAlerts(t, alert, 1)
				return
			}
			team.patch(t, job.Id, `{"status":"ACTIVE","onDemand":true}`)
			team.patch(t, job.Id, `{"status":"PAUSED"}`)
			s.requirePaused(t, "watched")
			team.awaitAlerts(t, alert, 2)
		})
	}
}

// Of a queue that nobody serves is told once, whichever instance looks: each looks when it starts.
func TestUnattendedQueueIsToldOnce(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	config := app.Config{Database: app.DatabaseConfig{URL: url}}
	one := start(t, config)
	pool := connect(t, url)
	alert := one.create(t, `{"name":"alert","startsOn":{"events":["queue.unattended"]}}`)
	job := one.due(t, pool, `,"target":{"type":"worker","queue":"reports"}`)
	age(t, pool, job.Id, 2*time.Minute)
	start(t, config)
	start(t, config)
	found := one.awaitAlerts(t, alert, 1)[0]
	start(t, config)
	var told client.QueueEvent
	require.NoError(t, json.Unmarshal(one.readRun(t, found.Id).Payload, &told))
	require.Equal(t, "reports", told.Data.Queue)
	require.True(t, told.Data.WaitingSince.Before(time.Now().Add(-time.Minute)))
	one.awaitAlerts(t, alert, 1)
}
