package jobs

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/schedule"
)

// in returns a caller in a namespace with limits, which is stored.
func (f fixture) in(name string, limits access.Limits) access.Caller {
	f.t.Helper()
	f.exec(`insert into namespaces (name, description, max_jobs, min_interval_seconds, run_retention_days) values ($1, '', $2, $3, $4)`,
		name, limits.MaxJobs, limits.MinIntervalSeconds, limits.RunRetentionDays)
	by := access.Anonymous(name)
	by.Limits = limits
	return by
}

// requireConflict checks the code of a Conflict.
func requireConflict(t *testing.T, err error, code Code) {
	t.Helper()
	var conflict *Conflict
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, code, conflict.Code)
	require.NotEmpty(t, conflict.Detail)
}

func TestMaxJobs(t *testing.T) {
	t.Parallel()

	t.Run("is exact, however many create at once", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		by := f.in("small", access.Limits{MaxJobs: new(int32(5))})
		refused := make(chan error, 20)
		var all errgroup.Group
		for range cap(refused) {
			all.Go(func() error {
				if _, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`)); err != nil {
					refused <- err
				}
				return nil
			})
		}
		require.NoError(t, all.Wait())
		close(refused)
		for err := range refused {
			requireConflict(t, err, TooManyJobs)
			require.ErrorContains(t, err, "5 jobs")
		}
		require.Equal(t, 5, f.count("select count(*) from jobs where namespace = 'small'"))
		require.Equal(t, 5, f.count("select count(*) from due"))
		f.create(`{"name":"elsewhere","intervalInSeconds":60}`)
	})

	t.Run("counts what there is", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		by := f.in("one", access.Limits{MaxJobs: new(int32(1))})
		made, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`))
		require.NoError(t, err)
		_, err = f.Create(t.Context(), by, decode(t, `{"name":"b","intervalInSeconds":60}`))
		requireConflict(t, err, TooManyJobs)
		require.NoError(t, f.Delete(t.Context(), by, made.Job.ID))
		_, err = f.Create(t.Context(), by, decode(t, `{"name":"b","intervalInSeconds":60}`))
		require.NoError(t, err, "a deleted job leaves room")
	})

	t.Run("is the stored one, not the one that the caller knows", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		by := f.in("changed", access.Limits{MaxJobs: new(int32(1))})
		by.Limits.MaxJobs = new(int32(100))
		_, err := f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`))
		require.NoError(t, err)
		_, err = f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`))
		requireConflict(t, err, TooManyJobs)
		f.exec("update namespaces set max_jobs = null")
		_, err = f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`))
		require.NoError(t, err)
		f.exec("update namespaces set suspended_at = now()")
		_, err = f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`))
		requireConflict(t, err, NamespaceSuspended)
		f.exec("update namespaces set deleted_at = now()")
		_, err = f.Create(t.Context(), by, decode(t, `{"name":"a","intervalInSeconds":60}`))
		require.ErrorIs(t, err, access.ErrNoNamespace)
	})
}

func TestMinIntervalSeconds(t *testing.T) { //nolint:tparallel // its parts follow each other
	t.Parallel()
	f := setup(t)
	by := f.in("slow", access.Limits{MinIntervalSeconds: new(int32(600))})

	for field, schedules := range map[string][]string{
		"intervalInSeconds": {`"intervalInSeconds":599`},
		"cron": {
			`"cron":"*/9 * * * *"`, `"cron":"0,59 * * * *"`, `"cron":"0,5 0 29 2 *"`,
			`"cron":"58,3 0,23 * * *"`,
		},
	} {
		for _, given := range schedules {
			_, err := f.Create(t.Context(), by, decode(t, `{"name":"a",`+given+`}`))
			requireInvalid(t, err, map[string]Code{field: TooSmall})
		}
	}
	for _, given := range []string{
		`"intervalInSeconds":600`, `"cron":"*/10 * * * *"`, `"cron":"H * * * *"`, `"cron":"0 0 29 2 *"`, `"runAt":"2090-01-01T00:00:00Z"`,
		`"cron":"30 2 * * *","timeZone":"Europe/Berlin"`,
	} {
		_, err := f.Create(t.Context(), by, decode(t, `{"name":"a",`+given+`}`))
		require.NoError(t, err, given)
	}

	t.Run("leaves the schedules that there are", func(t *testing.T) {
		fast, err := f.Create(t.Context(), access.Anonymous("slow"), decode(t, `{"name":"a","cron":"* * * * *"}`))
		require.NoError(t, err)
		for _, change := range []string{`{"name":"b"}`, `{"timeZone":"Europe/Berlin"}`, `{"status":"PAUSED"}`, `{"status":"ACTIVE"}`} {
			_, err := f.Update(t.Context(), by, fast.Job.ID, decode(t, change))
			require.NoError(t, err, change)
		}
		_, err = f.Update(t.Context(), by, fast.Job.ID, decode(t, `{"cron":"*/2 * * * *"}`))
		requireInvalid(t, err, map[string]Code{"cron": TooSmall})
		_, err = f.Update(t.Context(), by, fast.Job.ID, decode(t, `{"intervalInSeconds":5}`))
		requireInvalid(t, err, map[string]Code{"intervalInSeconds": TooSmall})
	})

	t.Run("a daily job is daily, although clocks change", func(t *testing.T) {
		daily := f.in("daily", access.Limits{MinIntervalSeconds: new(int32(86400))})
		_, err := f.Create(t.Context(), daily, decode(t, `{"name":"a","cron":"0 9 * * *","timeZone":"Europe/Berlin"}`))
		require.NoError(t, err)
	})
}

// The closest two occurrences are found, as a search over years finds them.
func TestShortestGap(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"0 0 * * *", "*/7 * * * *", "0 0,23 1,29 2,3 *", "59 23 28,29 2 *", "0,59 0,23 29,1 2,3 *", "0 0 31,1 * *", "15,45 8-17 * * MON-FRI",
		"0 0 * * SUN,MON", "5,50 22,1 L * *", "0 12 1 1 *",
	} {
		cron, err := schedule.ParseCron(expression, time.UTC, schedule.Seed(uuid.Nil))
		if err != nil {
			continue // it is one of another dialect
		}
		var least time.Duration
		last, _ := cron.Next(time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC))
		for next, ok := cron.Next(last); ok && next.Year() < 2029; next, ok = cron.Next(next) {
			if gap := next.Sub(last); least == 0 || gap < least {
				least = gap
			}
			last = next
		}
		require.Zero(t, shortestGap(cron, least), "%s: nothing is closer than %s", expression, least)
		require.NotZero(t, shortestGap(cron, least+time.Second), "%s has two that are %s apart", expression, least)
	}
}

func TestRunRetentionOfANamespace(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.RetentionDays = 30 })
	for name, c := range map[string]struct {
		own  *int32
		want int
	}{
		"none-of-its-own": {nil, 30}, "shorter": {new(int32(7)), 7}, "longer": {new(int32(90)), 30},
	} {
		by := f.in(name, access.Limits{RunRetentionDays: c.own})
		require.Equal(t, c.want, f.retentionDays(by))
		job, err := f.Create(t.Context(), by, decode(t, `{"name":"a","cron":"0 0 * * *"}`))
		require.NoError(t, err)
		midnight := time.Now().UTC().Truncate(24 * time.Hour)
		_, err = f.Backfill(t.Context(), by, job.Job.ID, midnight.AddDate(0, 0, -c.want-1), midnight)
		requireInvalid(t, err, map[string]Code{"from": OlderThanRetention})
		done, err := f.Backfill(t.Context(), by, job.Job.ID, midnight.AddDate(0, 0, -c.want), midnight)
		require.NoError(t, err)
		require.Equal(t, c.want+1, done.Occurrences)
	}
	forEver := setup(t)
	require.Equal(t, 7, forEver.retentionDays(access.Caller{Limits: access.Limits{RunRetentionDays: new(int32(7))}}))
	require.Equal(t, db.JobStatusACTIVE, forEver.create(`{"name":"a","cron":"0 0 * * *"}`).Job.Status)
}
