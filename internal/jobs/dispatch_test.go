package jobs_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// drive executes runs, and starts those of events, until nothing is left to do.
func drive(e *enginetest.Engine) {
	for n := -1; n != 0; {
		e.StartByEvents()
		n = e.Pass()
	}
}

// eventOf returns the payload of a run that an event has started.
func eventOf(t *testing.T, payload []byte) (event struct {
	Type string
	Data map[string]any
}) {
	t.Helper()
	require.NoError(t, json.Unmarshal(payload, &event), "%s", payload)
	return event
}

func TestStartByEvents(t *testing.T) {
	t.Parallel()
	t.Run("starts a chain", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		a := e.Due(`,"key":"a"`).Job.ID
		b := e.Create(`{"name":"b","key":"b","startsOn":{"events":["run.succeeded"],"jobs":{"keys":["a"]}}}`).Job.ID
		c := e.Create(`{"name":"c","startsOn":{"events":["run.succeeded"],"jobs":{"keys":["b"]}}}`).Job.ID
		drive(e)
		for _, job := range []jobs.View{e.Job(a), e.Job(b), e.Job(c)} {
			require.EqualValues(t, 1, job.RunCount, job.Job.Name)
		}
		run := e.Runs(b)[0]
		require.Equal(t, []any{"SUCCEEDED", "EVENT"}, []any{run.Status, string(run.Trigger)})
	})
}
