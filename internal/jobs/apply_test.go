package jobs

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// definitions decodes a list of definitions.
func (f fixture) definitions(all ...string) (list []Change) {
	f.t.Helper()
	for _, definition := range all {
		list = append(list, decode(f.t, definition))
	}
	return list
}

// apply applies a list of definitions, and returns what became of each job.
func (f fixture) apply(list []Change) (outcomes []Outcome) {
	f.t.Helper()
	all, err := f.Apply(f.t.Context(), me, Apply{Definitions: list})
	require.NoError(f.t, err)
	for _, did := range all {
		outcomes = append(outcomes, did.Outcome)
	}
	return outcomes
}

func TestApplyCreatesChangesAndLeavesJobs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	list := f.definitions(
		`{"key":"b","name":"b","intervalInSeconds":60,"labels":{"team":"a"},"payload":{"x": 1}}`,
		`{"key":"a","name":"a","cron":"0 9 * * *","target":{"type":"worker","queue":"q"},"startAt":"2040-01-01T00:00:00.1234567Z"}`,
	)
	require.Equal(t, []Outcome{Created, Created}, f.apply(list))
	require.Equal(t, []Outcome{Unchanged, Unchanged}, f.apply(list))
	list[0].Name = Given("other")
	list = append(list, decode(t, `{"key":"c","name":"c","runAt":"2040-01-01T00:00:00Z"}`))
	require.Equal(t, []Outcome{Changed, Unchanged, Created}, f.apply(list))
	require.Equal(t, []Outcome{Unchanged, Unchanged, Unchanged}, f.apply(list))
	view, err := f.GetByKey(t.Context(), me, "b")
	require.NoError(t, err)
	require.EqualValues(t, 2, view.Job.Version)
	require.Equal(t, 4, f.count("select count(*) from audit where operation = 'applyJobs'"))
}

func TestApplyNamesAllFaultsAndStoresNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(f.definitions(`{"key":"old","name":"old","intervalInSeconds":60}`))
	var list []Change
	for i := range 297 {
		list = append(list, decode(t, fmt.Sprintf(`{"key":"k%d","name":"n","intervalInSeconds":60}`, i)))
	}
	list = append(list, f.definitions(
		`{"key":"old","name":"changed","runAt":"2001-01-01T00:00:00Z"}`,
		`{"key":"last","name":"n","cron":"nonsense"}`,
	)...)
	_, err := f.Apply(t.Context(), me, Apply{Definitions: list})
	requireInvalid(t, err, map[string]Code{"definitions.298.cron": WrongFormat})
	list[298] = decode(t, `{"key":"last","name":"n","intervalInSeconds":1}`)
	_, err = f.Apply(t.Context(), me, Apply{Definitions: list})
	requireInvalid(t, err, map[string]Code{"definitions.297.runAt": NeverDue})
	require.Equal(t, 1, f.count("select count(*) from jobs"))
	require.Equal(t, 1, f.count("select count(*) from due"))
	require.Equal(t, 1, f.count("select count(*) from audit"))
}

// view returns the job that has a key.
func (f fixture) view(key string) View {
	f.t.Helper()
	view, err := f.GetByKey(f.t.Context(), me, key)
	require.NoError(f.t, err)
	return view
}
