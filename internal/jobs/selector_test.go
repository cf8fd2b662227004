package jobs

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/labels"
)

// Few names and values, so that they meet.
var (
	labelNames  = []string{"a", "a.b/c", "A", "x-y_z"}
	labelValues = []string{"", "1", "a", "A", "x.y-z_1"}
)

// PostgreSQL selects the jobs that the library of Kubernetes does, whatever their labels.
func TestSelectorsAgree(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var ids []uuid.UUID
	for range 40 {
		ids = append(ids, f.create(`{"name":"j","intervalInSeconds":3600}`).Job.ID)
	}
	rapid.Check(t, func(t *rapid.T) {
		sets := make([]labels.Set, len(ids))
		for i := range sets {
			sets[i] = rapid.MapOfN(rapid.SampledFrom(labelNames), rapid.SampledFrom(labelValues), 0, 3).Draw(t, "labels")
			_, err := f.Pool.Exec(context.Background(), `update jobs set labels = nullif($1::jsonb, '{}') where id = $2`, sets[i], ids[i])
			require.NoError(t, err)
		}
		for range 5 {
			text := strings.Join(rapid.SliceOfN(requirements(), 1, 3).Draw(t, "selector"), ",")
			selector, err := labels.ParseSelector(text)
			require.NoError(t, err, text)
			wanted := slices.Clone(ids)
			wanted = slices.DeleteFunc(wanted, func(id uuid.UUID) bool { return !selector.Matches(sets[slices.Index(ids, id)]) })
			found, err := f.Select(context.Background(), me, Filter{Labels: selector}, uuid.Nil, 100)
			require.NoError(t, err)
			require.ElementsMatch(t, wanted, found, text)
		}
	})
}

// requirements draws requirements of a selector.
func requirements() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom(labelNames).Draw(t, "name")
		value := rapid.SampledFrom(labelValues)
		among := "(" + strings.Join(rapid.SliceOfN(value, 1, 3).Draw(t, "values"), ",") + ")"
		switch rapid.IntRange(0, 5).Draw(t, "operator") {
		case 0:
			return name + "=" + value.Draw(t, "value")
		case 1:
			return name + "!=" + value.Draw(t, "value")
		case 2:
			return name + " in " + among
		case 3:
			return name + " notin " + among
		case 4:
			return name
		default:
			return "!" + name
		}
	})
}
