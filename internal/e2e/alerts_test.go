package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// chat is where alerts arrive. Its port is its own, and refuses connections until it is opened.
type chat struct {
	url    string
	socket int

	mu   sync.Mutex
	said []string // each message once
	ids  map[string]bool
}

func newChat(t *testing.T) *chat {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := syscall.Getsockname(socket)
	require.NoError(t, err)
	port := at.(*syscall.SockaddrInet4).Port
	return &chat{url: "http://127.0.0.1:" + strconv.Itoa(port), socket: socket, ids: map[string]bool{}}
}

// open lets messages arrive, if they are signed with the secret.
func (c *chat) open(t *testing.T, secret string) {
	t.Helper()
	webhook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, syscall.Listen(c.socket, 16))
	file := os.NewFile(uintptr(c.socket), "chat")
	listener, err := net.FileListener(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || webhook.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var message struct{ Text string }
		if json.Unmarshal(body, &message) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if id := r.Header.Get(standardwebhooks.HeaderWebhookID); !c.ids[id] {
			c.ids[id], c.said = true, append(c.said, message.Text)
		}
	}))
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
}

func (c *chat) messages() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.said...)
}

// awaitAlerts waits until so many runs of an alert have ended, and returns them, the newest first.
// No more are about to come.
func (i instance) awaitAlerts(t *testing.T, alert client.Job, n int) (runs []client.Run) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assertCollect) {
		runs = i.listRuns(t, alert.Id)
		require.Len(c, runs, n)
		for _, run := range runs {
			require.NotNil(c, run.FinishedAt, "%s", run.Status)
		}
	}, 30*time.Second, 20*time.Millisecond)
	return runs
}

// An alert's whole life, with two instances: a job fails three times, which is one message although
// the chat is down at first, and recovers, which is another one.
func TestLifeOfAnAlert(t *testing.T) {
	t.Parallel()
	to := newChat(t)
	url := testdb.New(t)
	config := reachable(t, app.Config{Database: app.DatabaseConfig{URL: url}, SecretKeys: keyring(t, "a")}, to.url)
	one, two := start(t, config), start(t, config)
	pool := connect(t, url)
	alert := one.create(t, `{"name":"tell the team","startsOn":{"events":["job.failing","job.recovered"],"jobs":{"labelSelector":"team=payments"}},
		"maxAttempts":60,"minBackoffSeconds":0,"maxBackoffSeconds":1,
		"target":{"type":"http","url":"`+to.url+`/hook","signingSecrets":["`+signingSecret+`"],"headers":{"Content-Type":"application/json"},
			"body":"{\"text\":\"{{event.type}} {{event.data.jobKey}} {{event.data.consecutiveFailures}} {{event.data.error}}\"}"}}`)
	job := one.create(t, `{"key":"settle","name":"Settle","labels":{"team":"payments"},"onDemand":true,"maxAttempts":1,"alertAfterFailures":3,
		"target":{"type":"worker","queue":"q"}}`)
	run := func(at instance, end func(client.LeasedRun)) client.Run {
		started := at.startRun(t, job.Id, "")
		end(at.leaseOne(t, "q"))
		return started
	}
	fails := func(run client.LeasedRun) { one.fail(t, run, `,"error":"no \"luck\"\nat all"`) }
	succeeds := func(run client.LeasedRun) { two.complete(t, run, "") }

	run(one, fails)
	run(two, fails)
	require.Nil(t, one.getJob(t, job.Id).FailingSince)
	third := run(one, fails)
	require.NotNil(t, two.getJob(t, job.Id).FailingSince)
	one.patch(t, job.Id, `{"description":"The bank is down."}`)
	versions, err := one.ListJobVersionsWithResponse(t.Context(), job.Id, nil)
	require.NoError(t, err)
	require.Len(t, *versions.JSON200.Items[0].Changes, 1, "%s", versions.Body)
	run(two, fails)
	var waiting client.Run
	require.Eventually(t, func() bool {
		runs := one.listRuns(t, alert.Id)
		if len(runs) == 1 {
			waiting = one.readRun(t, runs[0].Id)
		}
		return len(waiting.FailedAttempts) >= 3
	}, 20*time.Second, 20*time.Millisecond, "the chat is called again and again")
	require.Contains(t, waiting.FailedAttempts[0].Error, "refused")
	require.Nil(t, waiting.FinishedAt)

	to.open(t, signingSecret)
	one.awaitAlerts(t, alert, 1)
	fifth := run(two, succeeds)
	run(one, succeeds)
	require.Nil(t, one.getJob(t, job.Id).FailingSince)
	delivered := two.awaitAlerts(t, alert, 2)
	require.Zero(t, count(t, pool, `select count(*) from event_starts`))
	require.Equal(t, []string{`job.failing settle 3 no "luck"`, "job.recovered settle 0 "}, to.messages())

	// What was delivered, when, and why.
	for n, cause := range []client.Run{fifth, third} {
		sent := one.readRun(t, delivered[n].Id)
		require.Equal(t, client.RunStatusSUCCEEDED, sent.Status)
		require.Equal(t, client.RunTriggerEVENT, sent.Trigger)
		require.Equal(t, cause.Id, *sent.CausedBy)
	}
	require.GreaterOrEqual(t, delivered[1].Attempt, int32(4))

	run(one, fails) // and it begins anew
	run(one, fails)
	run(one, fails)
	one.awaitAlerts(t, alert, 3)
	require.Len(t, to.messages(), 3)
}

// A dead man's switch finds a job that a colleague has paused. Two instances look.
func TestDeadMansSwitch(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	config := app.Config{Database: app.DatabaseConfig{URL: url}}
	one, two := start(t, config), start(t, config)
	alert := one.create(t, `{"name":"wake somebody","startsOn":{"events":["job.overdue","job.recovered"]}}`)
	backup := two.create(t, `{"key":"backup","name":"Backup","intervalInSeconds":1,"expectSuccessWithinSeconds":5}`)
	waitForRuns(t, one, backup.Id, 1)
	one.patch(t, backup.Id, `{"status":"PAUSED","statusReason":"for a moment"}`)
	found := one.awaitAlerts(t, alert, 1)[0]
	var told client.JobEvent
	require.NoError(t, json.Unmarshal(one.readRun(t, found.Id).Payload, &told))
	require.EqualValues(t, "job.overdue", told.Type)
	require.Equal(t, "backup", *told.Data.JobKey)
	overdue := two.getJob(t, backup.Id)
	require.True(t, overdue.OverdueSince.Equal(*told.Data.OverdueSince))
	last := overdue.LastRunAt.Add(5 * time.Second)
	require.WithinDuration(t, last, *overdue.OverdueSince, time.Second, "since its last success")
	require.Nil(t, found.CausedBy, "no run caused it")

	two.patch(t, backup.Id, `{"status":"ACTIVE"}`)
	recovered := one.awaitAlerts(t, alert, 2)[0]
	require.Equal(t, backup.Id, one.readRun(t, *recovered.CausedBy).JobId)
	require.Nil(t, one.getJob(t, backup.Id).OverdueSince)
}

// The examples of alerts, and those of the page about events, can be used.
func TestExamplesOfAlerts(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}})
	example, err := filepath.Abs("../../examples/alerts")
	require.NoError(t, err)
	applied := service.punctual(t, nil, "jobs", "apply", "-f", example)
	require.Equal(t, 0, applied.code, applied.err)
	require.Equal(t, "6 jobs: 6 created, 0 changed, 0 unchanged, 0 deleted", applied.last())
	page, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	n := 0
	for part := range strings.SplitSeq(string(page), "```json\n") {
		if body, _, isJSON := strings.Cut(part, "```"); isJSON && strings.Contains(body, `"startsOn"`) {
			service.create(t, body)
			n++
		}
	}
	require.GreaterOrEqual(t, n, 3)
}
