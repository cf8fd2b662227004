package jobs

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/labels"
)

// prune applies a list of definitions, and deletes the other jobs that a selector selects. It
// returns the keys of the deleted ones.
func (f fixture) prune(list []Change, selector string) (keys []string) {
	f.t.Helper()
	parsed, err := labels.ParseSelector(selector)
	require.NoError(f.t, err)
	all, err := f.Apply(f.t.Context(), me, Apply{Definitions: list, Prune: &parsed})
	require.NoError(f.t, err)
	for i, did := range all {
		require.Equal(f.t, i >= len(list), did.Outcome == Pruned, "those that are pruned come last")
		if did.Outcome == Pruned {
			keys = append(keys, *did.Job.Key)
		}
	}
	return keys
}

// ofTeam returns definitions with keys, and with the label of a team.
func (f fixture) ofTeam(team string, keys ...string) (list []Change) {
	f.t.Helper()
	for _, key := range keys {
		list = append(list, decode(f.t, fmt.Sprintf(`{"key":%q,"name":"n","intervalInSeconds":60,"labels":{"team":%q}}`, key, team)))
	}
	return list
}

func TestPruneDeletesWhatIsNotInTheList(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(f.ofTeam("a", "a3", "a1", "a2"))
	f.apply(f.ofTeam("b", "b1"))
	f.create(`{"name":"no key","intervalInSeconds":60,"labels":{"team":"a"}}`)
	other := me
	other.Namespace = "other"
	f.exec(`insert into namespaces (name, description) values ($1, '')`, other.Namespace)
	_, err := f.Apply(t.Context(), other, Apply{Definitions: f.ofTeam("a", "a1")})
	require.NoError(t, err)

	require.Empty(t, f.prune(f.ofTeam("a", "a1", "a2", "a3"), "team=a"))
	require.Equal(t, []string{"a1", "a3"}, f.prune(f.ofTeam("a", "a2", "a4"), "team=a"))
	require.Empty(t, f.prune(f.ofTeam("a", "a2", "a4"), "team=a"))
	require.Equal(t, 5, f.count("select count(*) from jobs where deleted_at is null"))
	require.Equal(t, 5, f.count("select count(*) from due"))
	require.Equal(t, 2, f.count("select count(*) from jobs where deleted_at is not null and key is null"))
	require.Equal(t, 8, f.count("select count(*) from audit where operation = 'applyJobs'"))

	require.Equal(t, []string{"a2"}, f.prune(f.ofTeam("b", "a4"), "team=a"), "what a definition takes off the selector stays")
	require.Equal(t, []string{"a4", "b1"}, f.prune(nil, "team"))
	require.Equal(t, []Outcome{Created}, f.apply(f.ofTeam("a", "a1")), "the keys are free again")
}

func TestADryRunOfPruneDeletesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(f.ofTeam("a", "a1", "a2"))
	selector, err := labels.ParseSelector("team=a")
	require.NoError(t, err)
	all, err := f.Apply(t.Context(), me, Apply{Definitions: f.ofTeam("a", "a1"), Prune: &selector, IsDryRun: true})
	require.NoError(t, err)
	require.Equal(t, 1, count(all, Pruned))
	require.Equal(t, 2, f.count("select count(*) from jobs where deleted_at is null"))
}

func TestPruneNeedsASelectorThatSaysSomething(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(f.ofTeam("a", "a1"))
	_, err := f.Apply(t.Context(), me, Apply{Prune: &labels.Selector{}})
	requireInvalid(t, err, map[string]Code{"prune": WrongFormat})
	require.Equal(t, 1, f.count("select count(*) from jobs where deleted_at is null"))
}

func TestPruneIsBounded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 2 {
		list := make([]string, 1000)
		for n := range list {
			list[n] = fmt.Sprintf("k%d/%d", i, n)
		}
		f.apply(f.ofTeam("a", list...))
	}
	selector, err := labels.ParseSelector("team=a")
	require.NoError(t, err)
	_, err = f.Apply(t.Context(), me, Apply{Definitions: f.ofTeam("a", "k0/1"), Prune: &selector})
	requireInvalid(t, err, map[string]Code{"prune": TooLarge})
	require.Equal(t, 2000, f.count("select count(*) from jobs where deleted_at is null"))
}

// A job that is pruned makes room for one that is created.
func TestPruneMakesRoom(t *testing.T) {
	t.Parallel()
	f := setup(t)
	by := f.in("small", access.Limits{MaxJobs: new(int32(2))})
	_, err := f.Apply(t.Context(), by, Apply{Definitions: f.ofTeam("a", "a1", "a2")})
	require.NoError(t, err)
	selector, err := labels.ParseSelector("team=a")
	require.NoError(t, err)
	_, err = f.Apply(t.Context(), by, Apply{Definitions: f.ofTeam("a", "a3", "a4"), Prune: &selector})
	require.NoError(t, err)
	require.Equal(t, 2, f.count("select count(*) from jobs where deleted_at is null"))
	_, err = f.Apply(t.Context(), by, Apply{Definitions: f.ofTeam("a", "a4", "a5", "a6"), Prune: &selector})
	requireConflict(t, err, TooManyJobs)
}

// Two that prune each other's jobs: in whatever order they come, one list is true in the end.
func TestTwoThatPruneEachOther(t *testing.T) {
	t.Parallel()
	f := setup(t)
	selector, err := labels.ParseSelector("team=a")
	require.NoError(t, err)
	lists := [][]Change{f.ofTeam("a", "a", "c", "e"), f.ofTeam("a", "b", "d", "c")}
	for range 10 {
		require.NoError(t, together(t.Context(), 2, func(ctx context.Context, i int) error {
			_, err := f.Apply(ctx, me, Apply{Definitions: lists[i], Prune: &selector})
			return err
		}))
		ids, err := f.Select(t.Context(), me, Filter{Labels: selector}, uuid.Nil, 10)
		require.NoError(t, err)
		require.Contains(t, []int{3, 5}, len(ids), "one after the other, or one that had not seen the other's new jobs")
	}
}
