//go:build soak

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// A thousand jobs fire every second for a minute, on three instances. The database has one row for
// each second of each job: none is doubled, missing or off its grid.
func TestSoak(t *testing.T) {
	t.Parallel()
	const jobs, seconds = 1000, 60
	url := testdb.New(t)
	c := app.Config{Role: app.RoleAll, Database: app.DatabaseConfig{URL: url}}
	instances := []instance{start(t, c), start(t, c), start(t, c)}
	db := connect(t, url)

	for n := range jobs {
		instances[n%3].createJob(t, "soak", 1, `{"soak":true}`)
	}
	// Each job has all its runs soon after its last second, unless an instance is still catching
	// up.
	require.Eventually(t, func() bool {
		return count(
			t,
			db,
			"select count(*) from (select from runs group by job_id having count(*) >= $1) as complete",
			seconds,
		) == jobs
	}, (seconds+30)*time.Second, time.Second)
	for _, i := range instances {
		require.NoError(t, i.stop())
	}

	var short, doubled, offGrid, gaps, notSucceeded int
	require.NoError(t, db.QueryRow(t.Context(), `
		with seconds as (
			select r.*, extract(epoch from r.scheduled_for - j.created_at) as after,
				r.scheduled_for - lag(r.scheduled_for) over (partition by job_id order by r.scheduled_for) as gap
			from runs r join jobs j on j.id = r.job_id
		), each as (
			select job_id, count(*) filter (where after <= $1) as inside, count(*) - count(distinct scheduled_for) as doubled
			from seconds group by job_id
		)
		select
			(select $2 - count(*) from each where inside = $1),
			(select coalesce(sum(doubled), 0) from each),
			(select count(*) from seconds where after <> trunc(after)),
			(select count(*) from seconds where gap <> interval '1 second'),
			(select count(*) from seconds where status <> 'SUCCEEDED' or attempt <> 1 or occurrences <> 1)`,
		seconds, jobs).Scan(&short, &doubled, &offGrid, &gaps, &notSucceeded))
	t.Logf("%d runs of %d jobs; lateness at most %d ms", count(t, db, "select count(*) from runs"), jobs,
		count(t, db, "select round(1000 * max(extract(epoch from started_at - scheduled_for))) from runs"))
	require.Zero(t, short, "each job has its %d runs", seconds)
	require.Zero(t, doubled, "no occurrence is doubled")
	require.Zero(t, offGrid, "no schedule has drifted")
	require.Zero(t, gaps, "no second is missing")
	require.Zero(t, notSucceeded, "each run succeeded at its first attempt")
}
