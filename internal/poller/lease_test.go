package poller_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/poller"
)

func TestClaimsShareNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dueJob()
	one, other := b.lease(), b.lease()

	claimed := b.claim(one)
	require.Len(t, claimed, 1)
	require.Empty(t, b.claim(other), "it is claimed")
	require.EqualValues(t, 1, claimed[0].Claimed.Attempt)
	require.False(t, claimed[0].Claimed.StartedAt.Before(claimed[0].Claimed.ScheduledFor), "never early")
}

func TestExpiredLeaseClaimsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dueJob()
	lost := b.lease()
	b.exec(`update leases set expires_at = now() where id = $1`, lost)
	require.Empty(t, b.claim(lost))

	renewed, err := b.RenewLease(t.Context(), db.RenewLeaseParams{ID: lost, Duration: time.Minute})
	require.NoError(t, err)
	require.Zero(t, renewed, "it cannot be had back")
}

func TestZombieCompletesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.dueJob()
	dead := b.lease()
	stale := b.claim(dead)[0]
	b.expire(dead)
	claim := b.claim(b.lease())[0]
	before, after := stale.Claimed, claim.Claimed
	require.Equal(t, before.ScheduledFor, after.ScheduledFor)
	require.EqualValues(t, 2, after.Attempt)
	require.NotEqual(t, after.Token, before.Token)
	require.Equal(t, before.StartedAt, after.StartedAt, "lateness is attempt 1's")

	stored, err := b.Complete(t.Context(), completion(stale))
	require.NoError(t, err)
	require.Empty(t, stored, "the token is an old one")
	require.Equal(t, "RUNNING", b.runs(job)[0].Status)

	stored, err = b.Complete(t.Context(), completion(claim))
	require.NoError(t, err)
	require.Len(t, stored, 1)
	stored, err = b.Complete(t.Context(), completion(claim))
	require.NoError(t, err)
	require.Empty(t, stored, "repeating it changes nothing")

	runs := b.runs(job)
	require.Len(t, runs, 1)
	require.Equal(t, "SUCCEEDED", runs[0].Status)
	require.EqualValues(t, 2, runs[0].Attempt)
	require.Equal(t, 1, b.count("select count(*) from due where carries_schedule and lease_id is null and attempt = 0"), "the job goes on")
}

func TestLiveLeaseIsNotFreed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dueJob()
	b.claim(b.lease())
	row, err := b.FreeAbandoned(t.Context())
	require.NoError(t, err)
	require.Zero(t, row.Freed)
}

func TestRunThatKillsItsInstanceEndsFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.dueJob()
	for range 3 {
		dead := b.lease()
		require.Len(t, b.claim(dead), 1)
		b.expire(dead)
	}
	n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)

	runs := b.runs(job)
	require.Len(t, runs, 1)
	require.Equal(t, "FAILED", runs[0].Status)
	require.Equal(t, db.RunReasonLEASEEXPIRED, *runs[0].Reason)
	require.EqualValues(t, 3, runs[0].Attempt)
	require.Equal(t, "the lease of test expired before the attempt ended", *runs[0].Error)
}

// What came due while a run's dead instance held it was not kept out by an execution: it is late, and executed.
func TestTakeoverIsNoOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.IntervalSeconds, p.ScheduledFor = new(int64(10)), p.CreatedAt.Add(31*time.Second) // 30 s ago
	})
	dead := b.lease()
	require.Len(t, b.claim(dead), 1)
	b.exec(`update due set started_at = scheduled_for`)
	b.expire(dead)
	b.drain(succeed)
	for _, run := range b.runs(job) {
		require.Equal(t, "SUCCEEDED", run.Status)
	}
	require.GreaterOrEqual(t, len(b.runs(job)), 3)
}

// Two instances that free at once what a third one held do not free what the first of them has claimed since.
func TestFreeingTwiceSparesLiveClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dueJob()
	dead := b.lease()
	require.Len(t, b.claim(dead), 1)
	b.exec(`update leases set expires_at = now() where id = $1`, dead)

	// One instance has read what is abandoned, and is about to free it; meanwhile the run is freed and claimed anew.
	tx, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }() // committed by then, unless the test failed
	_, err = tx.Exec(t.Context(), `select from due for update`)
	require.NoError(t, err)
	freed := make(chan int64, 1)
	go func() {
		row, err := b.FreeAbandoned(context.Background())
		if err != nil {
			row.Freed = -1
		}
		freed <- row.Freed
	}()
	require.Eventually(t, func() bool {
		return b.count("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%FreeAbandoned%' and datname = current_database()") == 1
	}, 10*time.Second, 5*time.Millisecond)
	live := b.lease()
	_, err = tx.Exec(t.Context(), `update due set lease_id = $1, token = token + 1, attempt = attempt + 1`, live)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Zero(t, <-freed)
	require.Equal(t, 1, b.count("select count(*) from due where lease_id is not null"), "the live claim stands")
}
