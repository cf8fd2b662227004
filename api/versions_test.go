package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/jobs"
)

// What the service notes of a job is no change of its definition.
func TestVersionsLeaveOutWhatTheServiceNotes(t *testing.T) {
	t.Parallel()
	before := jobs.View{Job: db.Job{Target: []byte(`{"type":"log"}`), Payload: []byte(`{}`)}}
	after := before
	after.Job.FailingSince, after.OverdueSince = new(time.Now()), new(time.Now())
	changes, err := changesBetween(before, after)
	require.NoError(t, err)
	require.Empty(t, changes)
	after.Job.AlertAfterFailures = 3
	changes, err = changesBetween(before, after)
	require.NoError(t, err)
	require.Len(t, changes, 1)
	require.Equal(t, "alertAfterFailures", changes[0].Field)
}
