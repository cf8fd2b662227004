package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/testdb"
)

// blackout gives a namespace one blackout that has begun, or none if it is zero.
func (i instance) blackout(t *testing.T, namespace string, until time.Time) {
	t.Helper()
	all := ""
	if !until.IsZero() {
		all = fmt.Sprintf(`{"from":"2020-01-01T00:00:00Z","to":%q}`, until.Format(time.RFC3339Nano))
	}
	got, err := i.UpdateNamespaceWithBodyWithResponse(t.Context(), namespace, "application/json", strings.NewReader(`{"blackouts":[`+all+`]}`))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
}

// A blackout holds runs of each kind: by hand, backfilled, of a connection and of a queue, and
// further attempts. One that is longer holds them longer, and when it is deleted they are free at
// once.
func TestBlackoutIsChanged(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	url := testdb.New(t)
	service := startCalling(t, url, receiver.URL)
	startCalling(t, url, receiver.URL) // another instance claims, too
	pool := connect(t, url)
	name := service.namespace(t, client.NamespaceCreate{}).Name
	frozen := service.in(t, name)
	frozen.connection(t, `{"key":"crm","baseUrl":"`+receiver.URL+`"}`)
	run := func(job uuid.UUID) uuid.UUID {
		started, err := frozen.RunJobWithResponse(t.Context(), job, nil, client.RunStart{})
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, started.StatusCode(), "%s", started.Body)
		return started.JSON202.Id
	}
	fails := frozen.create(t, `{"name":"fails","onDemand":true,"maxAttempts":2,"minBackoffSeconds":2,"maxBackoffSeconds":2,
		"target":{"type":"http","url":"`+receiver.URL+`/fails"}}`).Id
	retried := run(fails)
	require.Eventually(t, func() bool { return calls.Load() == 1 }, 20*time.Second, 10*time.Millisecond)

	service.blackout(t, name, time.Now().Add(time.Hour))
	plain := frozen.create(t, `{"name":"plain","onDemand":true}`).Id
	calling := frozen.calling(t)
	queued := frozen.create(t, `{"name":"queued","onDemand":true,"target":{"type":"worker","queue":"q"}}`).Id
	daily := frozen.create(t, `{"name":"daily","cron":"0 0 * * *"}`).Id
	all := []uuid.UUID{retried, run(plain), run(calling)}
	run(queued)
	day := time.Now().UTC().AddDate(0, 0, -3).Truncate(24 * time.Hour)
	frozen.backfills(t, daily, day, day, 1, 1)
	leased, err := frozen.LeaseRunsWithResponse(t.Context(), "q", client.LeaseRequest{WaitSeconds: new(int32(2))})
	require.NoError(t, err)
	require.True(t, leased.JSON200 == nil || len(leased.JSON200.Runs) == 0, "a worker gets nothing: %s", leased.Body)
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from due where held_until = ready_at and ready_at > now()`) == 5
	}, 20*time.Second, 50*time.Millisecond, "all are held")
	require.EqualValues(t, 1, calls.Load(), "none is called")

	service.blackout(t, name, time.Now().Add(2*time.Hour))
	require.Equal(t, 5, count(t, pool, `select count(*) from due where held_until = ready_at and ready_at > now() + interval '90 minutes'`))
	service.blackout(t, name, time.Time{})
	for _, id := range all {
		require.Eventually(t, func() bool { return frozen.readRun(t, id).FinishedAt != nil }, 20*time.Second, 20*time.Millisecond)
	}
	require.EqualValues(t, 3, calls.Load())
	require.EqualValues(t, 2, frozen.readRun(t, retried).Attempt)
	require.Eventually(t, func() bool {
		return len(frozen.listRuns(t, daily)) == 1 && frozen.listRuns(t, daily)[0].FinishedAt != nil
	},
		20*time.Second, 20*time.Millisecond)
	leased, err = frozen.LeaseRunsWithResponse(t.Context(), "q", client.LeaseRequest{WaitSeconds: new(int32(10))})
	require.NoError(t, err)
	require.NotNil(t, leased.JSON200, "%s", leased.Body)
	require.Len(t, leased.JSON200.Runs, 1)
}

// The misfire policy decides of runs of connections that a blackout has held, too.
func TestBlackoutHoldsRunsOfConnections(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(receiver.Close)
	service := startCalling(t, testdb.New(t), receiver.URL)
	name := service.namespace(t, client.NamespaceCreate{}).Name
	frozen := service.in(t, name)
	frozen.connection(t, `{"key":"crm","baseUrl":"`+receiver.URL+`"}`)
	until := time.Now().Add(14 * time.Second).Truncate(time.Microsecond)
	service.blackout(t, name, until)
	soon := time.Now().Add(time.Second).Format(`"` + time.RFC3339Nano + `"`)
	const target = `"target":{"type":"http","connection":"crm","path":"/x"}`
	fires := frozen.create(t, `{"name":"fires","runAt":`+soon+`,`+target+`}`).Id
	skips := frozen.create(t, `{"name":"skips","runAt":`+soon+`,"misfirePolicy":"SKIP","catchupWindowSeconds":0,`+target+`}`).Id
	ended := func(job uuid.UUID) (run client.Run) {
		require.Eventually(t, func() bool {
			if all := frozen.listRuns(t, job); len(all) > 0 {
				run = all[0]
			}
			return run.FinishedAt != nil
		}, 40*time.Second, 100*time.Millisecond)
		return run
	}
	fired, skipped := ended(fires), ended(skips)
	require.Equal(t, client.RunStatusSUCCEEDED, fired.Status)
	require.False(t, fired.StartedAt.Before(until), "it was held: %s", fired.StartedAt)
	require.EqualValues(t, 1, fired.Attempt)
	require.Equal(t, client.RunStatusSKIPPED, skipped.Status)
	require.Equal(t, client.RunReasonMISFIRE, *skipped.Reason)
	require.EqualValues(t, 1, calls.Load())
}
