package jobs

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestBackfillWindows(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.RetentionDays = 400 })
	job := f.create(`{"name":"daily","cron":"@daily"}`).Job.ID
	second := f.create(`{"name":"each second","cron":"* * * * * *"}`).Job.ID
	day := 24 * time.Hour
	now := time.Now()
	for name, c := range map[string]struct {
		job      uuid.UUID
		from, to time.Duration // before now
		want     map[string]Code
	}{
		"the wrong way round":  {job, day, 2 * day, map[string]Code{"from": Conflicting, "to": Conflicting}},
		"in the future":        {job, day, -day, map[string]Code{"to": InTheFuture}},
		"no longer kept":       {job, 402 * day, 401 * day, map[string]Code{"from": OlderThanRetention}},
		"too long":             {job, 399 * day, 10 * day, map[string]Code{"from": TooSmall, "to": TooLarge}},
		"too many occurrences": {second, time.Hour, time.Minute, map[string]Code{"from": TooManyOccurrences, "to": TooManyOccurrences}},
	} {
		_, err := f.Backfill(t.Context(), me, c.job, now.Add(-c.from), now.Add(-c.to))
		require.Error(t, err, name)
		requireInvalid(t, err, c.want)
	}
	_, err := f.Backfill(t.Context(), me, uuid.Must(uuid.NewV7()), now.Add(-day), now)
	require.ErrorIs(t, err, ErrNotFound)
	forEver := setupOn(t, f.Pool)
	_, err = forEver.Backfill(t.Context(), me, job, time.Unix(-1, 0), time.Unix(1, 0))
	requireInvalid(t, err, map[string]Code{"from": TooSmall})
}

// The partitions of a window exist before its runs are stored.
func TestBackfillPreparesPartitions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"daily","cron":"@daily"}`).Job.ID
	now := time.Now()
	done, err := f.Backfill(t.Context(), me, job, now.Add(-100*24*time.Hour), now)
	require.NoError(t, err)
	require.Equal(t, Backfilled{Runs: 100, Occurrences: 100}, done)
	f.exec(`insert into runs (job_id, scheduled_for, trigger, started_at, finished_at, status, attempt, occurrences)
		select job_id, scheduled_for, trigger, now(), now(), 'SUCCEEDED', 1, 1 from due where trigger = 'BACKFILL'`)
	f.exec(`delete from due where trigger = 'BACKFILL'`)
	done, err = f.Backfill(t.Context(), me, job, now.Add(-100*24*time.Hour), now)
	require.NoError(t, err)
	require.Zero(t, done.Runs, "to repeat it is harmless")
}
