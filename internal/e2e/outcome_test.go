package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// A job may fail for as long as it likes.
func TestFailuresInARowHaveNoEnd(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, `,"maxAttempts":1`)
	_, err := pool.Exec(t.Context(), `update due set failures = 32767`)
	require.NoError(t, err)
	end(t, pool, begin(t, pool), errors.New("no luck"))
	require.Equal(t, client.RunStatusFAILED, service.listRuns(t, job.Id)[0].Status)
}

// An attempt that fails after its job went elsewhere is followed by one there.
func TestAnAttemptFailsAfterItsJobWasChanged(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, `,"minBackoffSeconds":0,"maxBackoffSeconds":0`)
	o := begin(t, pool)
	service.patch(t, job.Id, `{"target":{"type":"worker","queue":"q"}}`)
	end(t, pool, o, errors.New("no luck"))
	require.EqualValues(t, 2, service.leaseOne(t, "q").Attempt)
}

// What came due while a run waited for another's end is passed over, however long that took.
func TestWhatCameDueBehindARunThatWaits(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, ``)
	o := begin(t, pool)
	service.startRun(t, job.Id, bufferOne)
	_, err := pool.Exec(t.Context(), `with j as (update jobs set anchor_at = anchor_at - interval '9 minutes')
		update due set scheduled_for = scheduled_for - interval '9 minutes', ready_at = ready_at - interval '9 minutes',
			started_at = started_at - interval '9 minutes', buffered_for = buffered_for - interval '9 minutes'`)
	require.NoError(t, err)
	o.Due.ScheduledFor = o.Due.ScheduledFor.Add(-9 * time.Minute)
	o.Begin(o.Due.StartedAt)
	end(t, pool, o, nil)
	service.executes(t, 1)
	require.Equal(t, 9, count(t, pool, `select coalesce(sum(occurrences), 0) from runs where reason = 'OVERLAP'`))
	require.Equal(t, 1, count(t, pool, `select count(*) from due where ready_at > now()`))
}

// A scheduled run does not end what is backfilled beside it.
func TestWhatIsBackfilledIsNotCanceled(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"x","intervalInSeconds":60,"overlapPolicy":"CANCEL_OTHER"`+queued+`}`)
	age(t, pool, job.Id, 10*time.Minute)
	service.patch(t, job.Id, `{"status":"PAUSED"}`)
	service.patch(t, job.Id, `{"status":"ACTIVE"}`)
	from := job.CreatedAt.Add(-5 * time.Minute)
	service.backfills(t, job.Id, from, from, 1, 1)
	backfilled := service.leaseOne(t, "q")
	_, err := pool.Exec(t.Context(), `with j as (update jobs set anchor_at = anchor_at - interval '1 minute')
		update due set scheduled_for = scheduled_for - interval '1 minute', ready_at = ready_at - interval '1 minute' where carries_schedule`)
	require.NoError(t, err)
	service.complete(t, service.leaseOne(t, "q"), "")
	require.Zero(t, count(t, pool, `select count(*) from due where cancel_reason is not null`))
	service.complete(t, backfilled, "")
	require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, backfilled.Id).Status)
	require.Equal(t, 2, count(t, pool, `select count(*) from runs where status = 'SUCCEEDED'`))
}
