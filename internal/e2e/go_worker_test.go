package e2e

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/examples/go/worker"
	"punctual/gen/client"
)

// works runs the worker in Go until the returned function has been called and it has stopped.
func (i instance) works(t *testing.T, w worker.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	w.Client, w.Queue = i.ClientWithResponses, "q"
	running.Go(func() { w.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// startRuns starts runs of a job.
func (i instance) startRuns(t *testing.T, body string, count int) (ids []uuid.UUID) {
	t.Helper()
	job := i.create(t, `{"name":"for a worker","onDemand":true,"overlapPolicy":"ALLOW_ALL","target":{"type":"worker","queue":"q"}`+body+`}`)
	for range count {
		started, err := i.RunJobWithResponse(t.Context(), job.Id, nil, client.RunStart{})
		require.NoError(t, err)
		ids = append(ids, started.JSON202.Id)
	}
	return ids
}

func TestGoWorkerExecutesRuns(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	ids := service.startRuns(t, `,"maxAttempts":2,"minBackoffSeconds":0,"maxBackoffSeconds":0`, 60)
	var failed sync.Map
	service.works(t, worker.Worker{AtOnce: 20, Execute: func(_ context.Context, run client.LeasedRun) (string, error) {
		switch run.Id {
		case ids[0]:
			return "", worker.Final{Err: errors.New("never")}
		case ids[1]:
			if _, again := failed.LoadOrStore(run.Id, true); !again {
				return "", errors.New("not yet")
			}
		}
		return "done", nil
	}})
	for n, id := range ids {
		if n == 0 {
			run := service.waitForRun(t, id, client.RunStatusFAILED)
			require.Equal(t, "never", *run.Error)
			require.EqualValues(t, 1, run.Attempt)
			continue
		}
		run := service.waitForRun(t, id, client.RunStatusSUCCEEDED)
		require.Equal(t, n == 1, run.Attempt == 2, "the attempt that has failed is repeated, and no other")
	}
}

// A worker that stops lets runs end for a while, and gives the others back; a canceled run ends.
func TestGoWorkerStops(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	ids := service.startRuns(t, "", 3)
	var begun atomic.Int64
	begin := make(chan struct{})
	stop := service.works(t, worker.Worker{
		AtOnce: 3, LeaseFor: 5 * time.Second, Grace: time.Second,
		Execute: func(ctx context.Context, run client.LeasedRun) (string, error) {
			if begun.Add(1) == 3 {
				close(begin)
			}
			if run.Id != ids[0] { // and never ends by itself
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "done", nil
		},
	})
	<-begin
	require.Equal(t, 202, service.cancel(t, ids[1]).StatusCode())
	service.waitForRun(t, ids[1], client.RunStatusCANCELED)
	service.waitForRun(t, ids[0], client.RunStatusSUCCEEDED)
	stop()
	left := service.leaseOne(t, "q")
	require.Equal(t, ids[2], left.Id, "it is given back")
	require.EqualValues(t, 1, left.Attempt, "and the attempt does not count")
}
