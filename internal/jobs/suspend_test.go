package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
	"punctual/internal/access"
)

// setSuspended suspends the namespace team, or makes it go on.
func (f fixture) setSuspended(isSuspended bool) {
	f.t.Helper()
	f.exec("update namespaces set suspended_at = case when $1 then now() end where name = 'team'", isSuspended)
}

// followed makes one pass and returns how many jobs it changed.
func (f fixture) followed() int {
	f.t.Helper()
	n, err := f.FollowNamespaces(f.t.Context())
	require.NoError(f.t, err)
	return int(n)
}

// statuses returns how many jobs of a namespace have each status, and whether they have the mark.
func (f fixture) statuses(namespace string) map[string]int {
	f.t.Helper()
	rows, err := f.Pool.Query(f.t.Context(), `
		select status::text || case when suspended then ' suspended' else '' end, count(*)
		from jobs where namespace = $1 and deleted_at is null group by 1`, namespace)
	require.NoError(f.t, err)
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var status string
		var n int
		require.NoError(f.t, rows.Scan(&status, &n))
		all[status] = n
	}
	require.NoError(f.t, rows.Err())
	return all
}

func TestASuspendedNamespacePausesItsJobs(t *testing.T) { //nolint:tparallel // its parts follow each other
	t.Parallel()
	f := setup(t)
	by := f.in("team", access.Limits{})
	create := func(change string) uuid.UUID {
		t.Helper()
		made, err := f.Create(t.Context(), by, decode(t, change))
		require.NoError(t, err)
		return made.Job.ID
	}
	update := func(id uuid.UUID, change string) (View, error) {
		t.Helper()
		return f.Update(t.Context(), by, id, decode(t, change))
	}
	get := func(id uuid.UUID) Definition {
		t.Helper()
		view, err := f.Get(t.Context(), by, id)
		require.NoError(t, err)
		return view.Job
	}
	elsewhere := f.create(`{"name":"elsewhere","intervalInSeconds":60}`)
	active := create(`{"name":"active","intervalInSeconds":60}`)
	edited := create(`{"name":"edited","intervalInSeconds":3600}`)
	pausedBefore := create(`{"name":"paused before","intervalInSeconds":3600}`)
	pausedMeanwhile := create(`{"name":"paused meanwhile","intervalInSeconds":3600}`)
	deleted := create(`{"name":"deleted meanwhile","intervalInSeconds":3600}`)
	once := create(`{"name":"once","runAt":"2090-01-01T00:00:00Z"}`)
	_, err := update(pausedBefore, `{"status":"PAUSED","statusReason":"by me"}`)
	require.NoError(t, err)
	require.Zero(t, f.followed(), "nothing is to be done")

	f.setSuspended(true)
	require.Equal(t, 5, f.followed())
	require.Zero(t, f.followed(), "doing it twice is harmless")
	require.Equal(t, map[string]int{"PAUSED suspended": 5, "PAUSED": 1}, f.statuses("team"))
	require.Equal(t, map[string]int{"ACTIVE": 1}, f.statuses("default"))
	require.Equal(t, 1, f.count("select count(*) from due"), "only the job elsewhere is due")
	require.Equal(t, "The namespace is suspended.", *get(active).StatusReason)
	require.Equal(t, "by me", *get(pausedBefore).StatusReason)
	require.Equal(t, 5, f.count("select count(*) from audit where operation = 'pauseJob' and actor = 'system' and namespace = 'team'"))

	by.Limits.IsSuspended = true
	for what, begin := range map[string]func() error{
		"create": func() error {
			_, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`))
			return err
		},
		"resume": func() error {
			_, err := update(active, `{"status":"ACTIVE"}`)
			return err
		},
		"run": func() error {
			_, err := f.StartRun(t.Context(), by, active, RunStart{})
			return err
		},
		"backfill": func() error {
			_, err := f.Backfill(t.Context(), by, active, time.Now().Add(-time.Hour), time.Now())
			return err
		},
	} {
		t.Run("it is not allowed to "+what, func(t *testing.T) { requireConflict(t, begin(), NamespaceSuspended) })
	}
	_, err = update(edited, `{"name":"renamed","intervalInSeconds":7200}`)
	require.NoError(t, err, "an edit that starts nothing")
	require.True(t, get(edited).Suspended, "it still goes on with its namespace")
	_, err = update(pausedMeanwhile, `{"status":"PAUSED"}`)
	require.NoError(t, err)
	require.NoError(t, f.Delete(t.Context(), by, deleted))
	f.pausedFor(active, 5*time.Minute+time.Second)
	f.exec("update jobs set run_at = now() - interval '1 minute' where id = $1", once)

	f.setSuspended(false)
	require.Equal(t, 3, f.followed())
	require.Equal(t, map[string]int{"ACTIVE": 2, "PAUSED": 2, "COMPLETED": 1}, f.statuses("team"))
	require.Equal(t, db.JobStatusACTIVE, get(active).Status)
	require.Nil(t, get(active).StatusReason)
	require.Equal(t, []skip{{"JOB_PAUSED", "The namespace is suspended.", 5}}, f.skips(active))
	require.Equal(t, int64(7200), *get(edited).IntervalSeconds)
	require.Equal(t, db.JobStatusPAUSED, get(pausedBefore).Status, "it was not paused with the namespace")
	require.Equal(t, db.JobStatusPAUSED, get(pausedMeanwhile).Status, "somebody wants it paused")
	require.Equal(t, db.JobStatusCOMPLETED, get(once).Status, "its instant has passed")
	require.Equal(t, 3, f.count("select count(*) from due"), "two jobs, and the one elsewhere")
	require.Equal(t, db.JobStatusACTIVE, f.update(elsewhere.Job.ID, `{"name":"still"}`).Job.Status)
	require.Zero(t, f.followed())
}

// A pass that is cut off, between pages or between jobs, leaves nothing half done, and the next one
// does the rest.
func TestSuspensionThatIsCutOff(t *testing.T) {
	t.Parallel()
	const all = 2*pageOfSuspended + 50
	f := setup(t)
	by := f.in("team", access.Limits{})
	for range all {
		_, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":3600}`))
		require.NoError(t, err)
	}
	for _, c := range []struct {
		isSuspended bool
		done        string
	}{{true, "PAUSED suspended"}, {false, "ACTIVE"}} {
		f.setSuspended(c.isSuspended)
		before := f.statuses("team")
		ctx, cut := context.WithCancel(t.Context())
		var group errgroup.Group
		group.Go(func() error {
			defer cut()
			for f.statuses("team")[c.done] <= pageOfSuspended {
				if ctx.Err() != nil {
					return nil
				}
			}
			return nil
		})
		_, err := f.FollowNamespaces(ctx)
		require.Error(t, err, "it is cut off")
		require.NoError(t, group.Wait())
		left := f.statuses("team")
		require.Less(t, left[c.done], all)
		require.Greater(t, left[c.done], before[c.done])
		require.Equal(t, all, left["ACTIVE"]+left["PAUSED suspended"], "each job is one or the other")
		// In one statement: the server may still be at what was cut off.
		require.Zero(t, f.count(`select count(*) from jobs j full join due d on d.job_id = j.id and d.carries_schedule
			where (j.status = 'ACTIVE') is distinct from (d.job_id is not null)`))
		f.followed()
		require.Equal(t, map[string]int{c.done: all}, f.statuses("team"))
	}
}

// Several instances do it at once, while somebody changes their mind. What the database says last
// is what becomes of the jobs.
func TestSeveralInstancesFollowANamespace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	by := f.in("team", access.Limits{})
	for range 120 {
		_, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":3600}`))
		require.NoError(t, err)
	}
	stop := make(chan struct{})
	var instances errgroup.Group
	for range 3 {
		instances.Go(func() error {
			for {
				if _, err := f.FollowNamespaces(t.Context()); err != nil {
					return err
				}
				select {
				case <-stop:
					return nil
				default:
				}
			}
		})
	}
	for i := range 7 {
		f.setSuspended(i%2 == 0)
	}
	require.Eventually(t, func() bool { return f.statuses("team")["PAUSED suspended"] == 120 }, 30*time.Second, 20*time.Millisecond)
	f.setSuspended(false)
	require.Eventually(t, func() bool { return f.statuses("team")["ACTIVE"] == 120 }, 30*time.Second, 20*time.Millisecond)
	close(stop)
	require.NoError(t, instances.Wait())
	f.followed()
	require.Equal(t, map[string]int{"ACTIVE": 120}, f.statuses("team"))
	require.Equal(t, 120, f.count("select count(*) from due where carries_schedule"))
}

// An instance that is slow does not go by what a namespace was when it looked for jobs: those of a
// namespace that goes on again would miss occurrences, and those of a suspended one would run.
func TestASlowInstanceFollowsANamespace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	by := f.in("team", access.Limits{})
	made, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":3600}`))
	require.NoError(t, err)
	// slowly makes a pass that finds the job in one state of its namespace, and gets its lock in
	// another.
	slowly := func(isSuspended bool) {
		t.Helper()
		f.setSuspended(isSuspended)
		tx, err := f.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "select from jobs where id = $1 for update", made.Job.ID)
		require.NoError(t, err)
		var pass errgroup.Group
		pass.Go(func() error {
			_, err := f.FollowNamespaces(t.Context())
			return err
		})
		require.Eventually(t, func() bool {
			return f.count("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") > 0
		}, 20*time.Second, 10*time.Millisecond)
		f.setSuspended(!isSuspended)
		require.NoError(t, tx.Commit(t.Context()))
		require.NoError(t, pass.Wait())
	}
	slowly(true)
	require.Equal(t, map[string]int{"ACTIVE": 1}, f.statuses("team"))
	require.Zero(t, f.count("select count(*) from audit where operation = 'pauseJob'"), "it was never paused")
	f.setSuspended(true)
	require.Equal(t, 1, f.followed())
	slowly(false)
	require.Equal(t, map[string]int{"PAUSED suspended": 1}, f.statuses("team"))
	require.Zero(t, f.count("select count(*) from audit where operation = 'resumeJob'"), "it was never resumed")
}

// A job that cannot be resumed does not keep the others from it.
func TestAJobThatCannotFollow(t *testing.T) {
	t.Parallel()
	f := setup(t)
	by := f.in("team", access.Limits{})
	for range 3 {
		_, err := f.Create(t.Context(), by, decode(t, `{"name":"a","cron":"* * * * *"}`))
		require.NoError(t, err)
	}
	f.setSuspended(true)
	require.Equal(t, 3, f.followed())
	f.exec("update jobs set time_zone = 'No/Where' where id = (select id from jobs limit 1)")
	f.setSuspended(false)
	n, err := f.FollowNamespaces(t.Context())
	require.ErrorContains(t, err, "No/Where")
	require.EqualValues(t, 2, n)
	require.Equal(t, map[string]int{"ACTIVE": 2, "PAUSED suspended": 1}, f.statuses("team"))
}

// A job that was created in the moment in which its namespace was deleted is deleted, too.
func TestAJobOfADeletedNamespace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	by := f.in("gone", access.Limits{})
	f.exec("update namespaces set deleted_at = now() where name = 'gone'")
	stray, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":3600}`))
	require.NoError(t, err, "this instance has not heard of it")
	require.Equal(t, 1, f.followed())
	_, err = f.Get(t.Context(), by, stray.Job.ID)
	require.ErrorIs(t, err, ErrNotFound)
	require.Zero(t, f.count("select count(*) from due"))
	require.Zero(t, f.followed())
}
