package jobs

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// applied returns a job as a change makes it.
func applied(t *testing.T, job Definition, change string) Definition {
	t.Helper()
	var c Change
	require.NoError(t, json.Unmarshal([]byte(change), &c))
	c.applyTo(&job)
	return job
}

func TestChange(t *testing.T) {
	t.Parallel()
	cron := Definition{Cron: new("@daily"), TimeZone: new("Europe/Berlin"), MaxRuns: new(int64(3)), Payload: []byte(`{"a":1}`)}
	for name, c := range map[string]struct {
		job    Definition
		change string
		want   Definition
	}{
		"absent fields stay":        {cron, `{}`, cron},
		"null clears":               {Definition{MaxRuns: new(int64(3))}, `{"maxRuns":null}`, Definition{}},
		"a payload keeps its bytes": {Definition{}, `{"payload":{"b": 1.0,  "a":9007199254740993}}`, Definition{Payload: []byte(`{"b": 1.0,  "a":9007199254740993}`)}},
		"a payload of null":         {cron, `{"payload":null}`, func() Definition { j := cron; j.Payload = []byte("null"); return j }()},
		"another kind of schedule replaces it": {
			Definition{Cron: new("@daily"), TimeZone: new("Europe/Berlin")},
			`{"intervalInSeconds":60}`,
			Definition{IntervalSeconds: new(int64(60))},
		},
		"another expression keeps the zone": {
			Definition{Cron: new("@daily"), TimeZone: new("Europe/Berlin")},
			`{"cron":"@hourly"}`,
			Definition{Cron: new("@hourly"), TimeZone: new("Europe/Berlin")},
		},
		"two kinds stay, to be refused": {
			Definition{},
			`{"cron":"@daily","intervalInSeconds":1}`,
			Definition{Cron: new("@daily"), IntervalSeconds: new(int64(1))},
		},
		"a status clears the reason": {
			Definition{Status: "PAUSED", StatusReason: new("why")}, `{"status":"ACTIVE"}`, Definition{Status: "ACTIVE"},
		},
		"an instant in whole microseconds of UTC": {
			Definition{}, `{"runAt":"2026-11-23T13:00:00.0000009+01:00"}`, Definition{RunAt: &noon},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, applied(t, c.job, c.change))
		})
	}
}

// Each field of a change is applied: a new one that applyTo does not know fails here.
func TestEachFieldOfAChangeIsApplied(t *testing.T) {
	t.Parallel()
	change := reflect.TypeFor[Change]()
	for i := range change.NumField() {
		field := change.Field(i)
		if field.Name == "Target" || !field.IsExported() { // Service.setTarget sets it; no request gives it
			continue
		}
		var c Change
		given := reflect.ValueOf(&c).Elem().Field(i)
		given.FieldByName("IsGiven").SetBool(true)
		fill(t, given.FieldByName("Value"), 3)
		var job Definition
		c.applyTo(&job)
		require.NotZero(t, reflect.ValueOf(job).FieldByName(field.Name).Interface(), "%s is applied", field.Name)
	}
}
