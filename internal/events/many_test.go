package events_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/testdb/enginetest"
)

// Thousands of jobs that events start, each created after the other, are not read as often. What is
// changed counts within five seconds all the same.
func TestManySubscriptions(t *testing.T) {
	t.Parallel()
	e, sent := enginetest.NewTraced(t)
	e.Create(`{"name":"a","startsOn":{"events":["job.paused"]}}`)
	var columns string
	require.NoError(t, e.Pool.QueryRow(t.Context(), `select string_agg(attname, ',') from pg_attribute
		where attrelid = 'jobs'::regclass and attnum > 0 and not attisdropped and attname <> 'id' and attgenerated = ''`).Scan(&columns))
	e.Exec(`insert into jobs (id,` + columns + `) select gen_random_uuid(),` + columns + ` from jobs, generate_series(1, 5000)`)
	e.Events.Forget()
	starts := func() bool {
		found, err := e.Events.Starts(t.Context(), failedOf(&db.Job{}))
		require.NoError(t, err)
		return found
	}
	sent.Take()
	for range 100 {
		require.False(t, starts())
		e.Events.Forget()
	}
	reads := slices.DeleteFunc(sent.Take(), func(statement string) bool { return statement != "ListStartsOn" })
	require.Less(t, len(reads), 20)
	e.Create(`{"name":"b","startsOn":{"events":["run.failed"]}}`)
	changed := time.Now()
	require.Eventually(t, starts, 8*time.Second, 5*time.Millisecond)
	require.Less(t, time.Since(changed), 6*time.Second)
}
