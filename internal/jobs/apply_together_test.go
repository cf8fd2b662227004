package jobs

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/access"
)

// numbered returns definitions with the keys of some numbers.
func (f fixture) numbered(name string, from, to int) (list []Change) {
	f.t.Helper()
	for i := from; i < to; i++ {
		list = append(list, decode(f.t, fmt.Sprintf(`{"key":"k%03d","name":%q,"intervalInSeconds":60}`, i, name)))
	}
	return list
}

func TestListsThatAreAppliedTogetherMakeEachJobOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	other := setupOn(t, f.Pool)
	for round := range 5 {
		name := fmt.Sprint("round ", round)
		require.NoError(t, together(t.Context(), 6, func(ctx context.Context, i int) error {
			service, list := f, f.numbered(name, i*20, i*20+60) // each has jobs in common with others
			if i%2 == 0 {
				service = other
			}
			if i == 5 { // in the opposite order
				for a, b := 0, len(list)-1; a < b; a, b = a+1, b-1 {
					list[a], list[b] = list[b], list[a]
				}
			}
			_, err := service.Apply(ctx, me, Apply{Definitions: list})
			return err
		}))
		require.Equal(t, 160, f.count("select count(*) from jobs"))
		require.Equal(t, 160, f.count("select count(*) from due"))
		require.Equal(t, 160*(round+1), f.count("select count(*) from audit"), "each change was made once")
		require.Equal(t, 160, f.count(fmt.Sprintf("select count(*) from jobs where version = %d and name = '%s'", round+1, name)))
	}
}

func TestOneOfTwoListsOfTheSameChanges(t *testing.T) {
	t.Parallel()
	f := setup(t)
	outcomes := make([][]Applied, 4)
	require.NoError(t, together(t.Context(), 4, func(ctx context.Context, i int) (err error) {
		outcomes[i], err = f.Apply(ctx, me, Apply{Definitions: f.numbered("n", 0, 100)})
		return err
	}))
	created := 0
	for _, all := range outcomes {
		created += count(all, Created)
		require.Equal(t, 100, count(all, Created)+count(all, Unchanged))
	}
	require.Equal(t, 100, created)
}

func TestADryRunDoesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(f.numbered("n", 0, 3))
	list := append(f.numbered("other", 0, 1), f.numbered("n", 1, 5)...)
	all, err := f.Apply(t.Context(), me, Apply{Definitions: list, IsDryRun: true})
	require.NoError(t, err)
	for outcome, n := range map[Outcome]int{Changed: 1, Unchanged: 2, Created: 2} {
		require.Equal(t, n, count(all, outcome), outcome)
	}
	require.Equal(t, 3, f.count("select count(*) from jobs where version = 1"))
	require.Equal(t, 3, f.count("select count(*) from due"))
	require.Equal(t, 3, f.count("select count(*) from audit"))

	list[0] = decode(t, `{"key":"k000","name":"n","runAt":"2001-01-01T00:00:00Z"}`)
	_, err = f.Apply(t.Context(), me, Apply{Definitions: list, IsDryRun: true})
	requireInvalid(t, err, map[string]Code{"definitions.0.runAt": NeverDue})
}

func TestApplyKeepsTheLimitsOfTheNamespace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	by := f.in("small", access.Limits{MaxJobs: new(int32(3)), MinIntervalSeconds: new(int32(60))})
	_, err := f.Apply(t.Context(), by, Apply{Definitions: f.numbered("n", 0, 4)})
	requireConflict(t, err, TooManyJobs)
	_, err = f.CreateAll(t.Context(), by, f.numbered("n", 0, 4))
	requireConflict(t, err, TooManyJobs)
	_, err = f.Apply(t.Context(), by, Apply{Definitions: f.numbered("n", 0, 3)})
	require.NoError(t, err)
	_, err = f.Apply(t.Context(), by, Apply{Definitions: f.numbered("other", 0, 3)})
	require.NoError(t, err, "what exists needs no room")
	_, _, err = f.Put(t.Context(), by, "new", decode(t, hourly), Condition{})
	requireConflict(t, err, TooManyJobs)
	_, err = f.Apply(t.Context(), by, Apply{Definitions: f.definitions(`{"key":"k000","name":"n","intervalInSeconds":59}`)})
	requireInvalid(t, err, map[string]Code{"definitions.0.intervalInSeconds": TooSmall})

	by.Limits.IsSuspended = true
	_, err = f.Apply(t.Context(), by, Apply{Definitions: f.numbered("third", 0, 3)})
	require.NoError(t, err, "an edit begins nothing")
	_, err = f.Apply(t.Context(), by, Apply{Definitions: f.numbered("n", 0, 4)})
	requireConflict(t, err, NamespaceSuspended)
	_, err = f.CreateAll(t.Context(), by, f.numbered("n", 0, 1))
	requireConflict(t, err, NamespaceSuspended)
}

func TestKeysOfAListAreGivenOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	list := f.definitions(`{"key":"a","name":"n","intervalInSeconds":60}`, hourly, `{"key":"a","name":"n","intervalInSeconds":60}`)
	_, err := f.Apply(t.Context(), me, Apply{Definitions: list})
	requireInvalid(t, err, map[string]Code{"definitions.1.key": Required, "definitions.2.key": NotUnique})
	_, err = f.CreateAll(t.Context(), me, list)
	requireInvalid(t, err, map[string]Code{"jobs.2.key": NotUnique})
}

// What is stored together is as what is stored alone.
func TestManyJobsAreStoredLikeOne(t *testing.T) {
	t.Parallel()
	f := setup(t, withKey(t, "a"))
	definition := `{"name":"n","description":"d","labels":{"a":"b"},"payload":{"x": 1.50},"cron":"0 9 * * *","timeZone":"Europe/Berlin",
		"startAt":"2040-01-01T00:00:00.1234567Z","endAt":"2050-01-01T00:00:00Z","maxRuns":7,"jitterSeconds":3,"pauseAfterFailures":2,
		"catchupWindowSeconds":5,"concurrencyGroup":"g","maxConcurrency":2,"overlapPolicy":"ALLOW_ALL",
		"target":{"type":"http","url":"https://example.com","secretHeaders":{"X":"one"}}}`
	one := f.create(definition)
	all, err := f.CreateAll(t.Context(), me, f.definitions(definition, `{"name":"w","runAt":"2040-01-01T00:00:00Z","target":{"type":"worker","queue":"q"}}`))
	require.NoError(t, err)
	stored, err := f.Get(t.Context(), me, all[0].Job.ID)
	require.NoError(t, err)
	require.Equal(t, stored.NextRunAt.UTC(), all[0].NextRunAt.UTC())
	require.True(t, stored.Job.CreatedAt.Equal(stored.Job.UpdatedAt))
	opened, err := f.openSecrets(&stored.Job)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"secretHeaders": map[string]any{"X": "one"}}, opened)

	stored.Job.ID, stored.Job.CreatedAt, stored.Job.UpdatedAt = one.Job.ID, one.Job.CreatedAt, one.Job.UpdatedAt
	stored.Job.SealedSecrets, stored.Job.SecretsDigest = one.Job.SealedSecrets, one.Job.SecretsDigest
	require.Equal(t, one.Job, stored.Job)
	require.Equal(t, 2, f.count("select count(*) from due where queue = 'default/=~g' and awaits_worker and concurrency_group = queue and carries_schedule"))
	require.Equal(t, 1, f.count("select count(*) from due where queue = 'default/q' and awaits_worker and ready_at = scheduled_for"))
	require.Equal(t, 2, f.count(`select count(*) from audit where operation = 'createJobs' and result::text = '{"version":1}'
		and resource_type = 'JOB' and request_id is null and actor = 'anonymous'`))
}

func TestApplyingAnyListTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, withKey(t, "a"))
	field := rapid.SampledFrom([]string{
		`"description":"d"`, `"labels":{"a":"b","c":""}`, `"payload":{"b":[1.0,null],"a": 1}`, `"maxRuns":3`, `"jitterSeconds":5`,
		`"endAt":"2050-01-01T00:00:00.123456789+02:00"`, `"maxAttempts":1`, `"pauseAfterFailures":2`, `"overlapPolicy":"ALLOW_ALL"`,
		`"concurrencyGroup":"g","maxConcurrency":2`, `"deleteAfterCompletion":true`, `"catchupWindowSeconds":0`, `"runHistory":"FAILURES"`,
		`"target":{"type":"http","url":"https://example.com/%41","secretHeaders":{"X":"one","A":""},"headers":{}}`,
	})
	schedule := rapid.SampledFrom([]string{
		`"intervalInSeconds":60`, `"cron":"H 9 * * MON-FRI"`, `"cron":"0 9 * * *","timeZone":"Europe/Berlin"`, `"runAt":"2040-01-01T00:00:00.5Z"`,
		`"intervalInSeconds":3600,"startAt":"2020-01-01T00:00:00Z"`,
	})
	rapid.Check(t, func(t *rapid.T) {
		var list []Change
		for i := range rapid.IntRange(0, 5).Draw(t, "jobs") {
			given := append(rapid.SliceOfNDistinct(field, 0, 4, rapid.ID).Draw(t, "fields"), schedule.Draw(t, "schedule"))
			list = append(list, decode(f.t, fmt.Sprintf(`{"key":"k%d","name":"n",%s}`, i, strings.Join(given, ","))))
		}
		first, err := f.Apply(f.t.Context(), me, Apply{Definitions: list})
		require.NoError(t, err)
		second, err := f.Apply(f.t.Context(), me, Apply{Definitions: list})
		require.NoError(t, err)
		require.Equal(t, len(list), count(second, Unchanged))
		for i := range first {
			require.Equal(t, first[i].Job.Version, second[i].Job.Version)
			require.True(t, second[i].Job.UpdatedAt.Equal(first[i].Job.UpdatedAt))
		}
	})
}
