package poller_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/poller"
)

func TestClaim(t *testing.T) {
	t.Parallel()
	t.Run("shares no run with another", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.dueJob()
		one, other := b.NewLease(), b.NewLease()

		claimed := b.ClaimUnder(one, 0)
		require.Len(t, claimed, 1)
		require.Empty(t, b.ClaimUnder(other, 0), "it is claimed")
		require.EqualValues(t, 1, claimed[0].Claimed.Attempt)
		require.False(t, claimed[0].Claimed.StartedAt.Before(claimed[0].Claimed.ScheduledFor), "never early")
	})
	t.Run("takes nothing under an expired lease", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.dueJob()
		lost := b.NewLease()
		b.Exec(`update leases set expires_at = now() where id = $1`, lost)
		require.Empty(t, b.ClaimUnder(lost, 0))

		renewed, err := b.RenewLease(t.Context(), db.RenewLeaseParams{ID: lost, Duration: time.Minute})
		require.NoError(t, err)
		require.Zero(t, renewed, "it cannot be had back")
	})
	t.Run("is freed if its answer was lost", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.dueJob()
		holder := b.NewLease()
		lost := b.ClaimUnder(holder, 0)
		require.Len(t, lost, 1)
		freed, err := b.FreeLost(
			t.Context(),
			db.FreeLostParams{LeaseID: &holder, KnownTokens: []int64{lost[0].Claimed.Token}},
		)
		require.NoError(t, err)
		require.Zero(t, freed, "it knows of it")
		freed, err = b.FreeLost(t.Context(), db.FreeLostParams{LeaseID: &holder, KnownTokens: []int64{}})
		require.NoError(t, err)
		require.EqualValues(t, 1, freed)
		require.Len(t, b.ClaimUnder(b.NewLease(), 0), 1)
	})
}

func TestAbandonedRun(t *testing.T) {
	t.Parallel()
	t.Run("is not completed by a zombie", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		dead := b.NewLease()
		stale := b.ClaimUnder(dead, 0)[0]
		b.Expire(dead)
		claim := b.ClaimUnder(b.NewLease(), 0)[0]
		before, after := stale.Claimed, claim.Claimed
		require.Equal(t, before.ScheduledFor, after.ScheduledFor)
		require.EqualValues(t, 2, after.Attempt)
		require.NotEqual(t, after.Token, before.Token)
		require.Equal(t, before.StartedAt, after.StartedAt, "lateness is attempt 1's")

		require.Zero(t, b.complete(stale), "the token is an old one")
		require.Equal(t, "RUNNING", b.Runs(job)[0].Status)

		require.Equal(t, 1, b.complete(claim))
		require.Zero(t, b.complete(claim), "repeating it changes nothing")

		runs := b.Runs(job)
		require.Len(t, runs, 1)
		require.Equal(t, "SUCCEEDED", runs[0].Status)
		require.EqualValues(t, 2, runs[0].Attempt)
		require.Equal(
			t,
			1,
			b.Count("select count(*) from due where carries_schedule and lease_id is null and attempt = 0"),
			"the job goes on",
		)
	})
	t.Run("is none while its lease lives", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.dueJob()
		b.ClaimUnder(b.NewLease(), 0)
		row, err := b.FreeAbandoned(t.Context())
		require.NoError(t, err)
		require.Zero(t, row.Freed)
	})
	t.Run("ends failed if it kills its instances", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.dueJob()
		for range 3 {
			dead := b.NewLease()
			require.Len(t, b.ClaimUnder(dead, 0), 1)
			b.Expire(dead)
		}
		n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)

		runs := b.Runs(job)
		require.Len(t, runs, 1)
		require.Equal(t, "FAILED", runs[0].Status)
		require.Equal(t, db.RunReasonLEASEEXPIRED, *runs[0].Reason)
		require.EqualValues(t, 3, runs[0].Attempt)
		require.Equal(t, "the lease of test expired before the attempt ended", *runs[0].Error)
	})
	// Nobody executed it after its instance had died. What came due meanwhile is late, and
	// executed.
	t.Run("overlaps nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.IntervalSeconds, p.ScheduledFor = new(int64(10)), new(p.CreatedAt.Add(31*time.Second)) // 30 s ago
		})
		dead := b.NewLease()
		require.Len(t, b.ClaimUnder(dead, 0), 1)
		b.Exec(`update due set started_at = scheduled_for`)
		b.Expire(dead)
		b.drain(succeed)
		for _, run := range b.Runs(job) {
			require.Equal(t, "SUCCEEDED", run.Status)
		}
		require.GreaterOrEqual(t, len(b.Runs(job)), 3)
	})
	// The second one spares what was claimed anew since.
	t.Run("is freed once by two instances", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.dueJob()
		dead := b.NewLease()
		require.Len(t, b.ClaimUnder(dead, 0), 1)
		b.Exec(`update leases set expires_at = now() where id = $1`, dead)

		// One instance has read what is abandoned, and is about to free it; meanwhile the run is
		// freed and claimed anew.
		tx, err := b.Pool.Begin(t.Context())
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
			return b.Count(
				"select count(*) from pg_stat_activity "+
					"where wait_event_type = 'Lock' and query like '%FreeAbandoned%' and datname = current_database()",
			) == 1
		}, 10*time.Second, 5*time.Millisecond)
		live := b.NewLease()
		_, err = tx.Exec(t.Context(), `update due set lease_id = $1, token = token + 1, attempt = attempt + 1`, live)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		require.Zero(t, <-freed)
		require.Equal(t, 1, b.Count("select count(*) from due where lease_id is not null"), "the live claim stands")
	})
}
