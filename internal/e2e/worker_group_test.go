package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// A concurrency group limits how many runs of a queue workers may hold, and they get the next as
// soon as one ends, fails or is given back.
func TestGroupLimitsWorkers(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	for range 3 {
		job := service.create(t, `{"name":"limited","onDemand":true,"concurrencyGroup":"database","maxConcurrency":1,"maxAttempts":2,
			"minBackoffSeconds":0,"maxBackoffSeconds":0,"target":{"type":"worker","queue":"q"}}`)
		_, err := service.RunJobWithResponse(t.Context(), job.Id, nil, client.RunStart{})
		require.NoError(t, err)
	}
	seen := map[uuid.UUID]bool{}
	for number := range 3 {
		run := service.leaseOne(t, "q")
		seen[run.Id] = true
		require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`), "the place is taken")
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			got, err := service.ListRunsWithResponse(context.Background(), &client.ListRunsParams{Status: &client.RunStatuses{client.RunStatusPENDING}})
			if assert.NoError(t, err) && assert.Len(t, got.JSON200.Items, 2-number) && number < 2 {
				assert.Equal(t, client.RunWaitingForCONCURRENCYGROUP, *got.JSON200.Items[0].WaitingFor)
			}
		}, 10*time.Second, 20*time.Millisecond)
		switch number {
		case 0:
			service.complete(t, run, "")
		case 1:
			service.fail(t, run, `,"error":"no luck"`)
			again := service.leaseOne(t, "q")
			service.complete(t, again, "")
			seen[again.Id] = true
		default:
			service.release(t, run)
			service.complete(t, service.leaseOne(t, "q"), "")
		}
	}
	require.Len(t, seen, 3)
}

// A deleted job's run, which is only to be ended at its time, has no place.
func TestGroupLeavesOutDeletedJobs(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	const grouped = `{"name":"grouped","onDemand":true,"concurrencyGroup":"g","maxConcurrency":1}`
	gone := service.create(t, grouped)
	_, err := service.RunJobWithResponse(t.Context(), gone.Id, nil, client.RunStart{StartAt: new(time.Now().Add(time.Hour))})
	require.NoError(t, err)
	deleted, err := service.DeleteJobWithResponse(t.Context(), gone.Id, nil)
	require.NoError(t, err)
	require.Equal(t, 204, deleted.StatusCode())
	service.waitForRun(t, service.startRun(t, service.create(t, grouped).Id, "").Id, client.RunStatusSUCCEEDED)
}

// A run that waits for the end of another is not left behind in a group that its job has left.
func TestGroupIsLeftByBufferedRuns(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	job := service.create(t, `{"name":"buffered","onDemand":true,"overlapPolicy":"BUFFER_ONE","concurrencyGroup":"g","maxConcurrency":1,
		"target":{"type":"worker","queue":"q"}}`)
	first := service.startRun(t, job.Id, "")
	leased := service.leaseOne(t, "q")
	require.Equal(t, first.Id, leased.Id)
	second := service.startRun(t, job.Id, "")
	require.Equal(t, 200, service.patch(t, job.Id, `{"concurrencyGroup":null,"maxConcurrency":null}`).StatusCode())
	service.complete(t, leased, "")
	require.Equal(t, second.Id, service.leaseOne(t, "q").Id)
}
