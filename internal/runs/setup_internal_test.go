package runs

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/policy"
)

var (
	noon      = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	errNoLuck = errors.New("no luck")
)

// at returns the instant that many minutes after noon.
func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

// newRow returns the claimed row of the first occurrence of a job that is due each minute after
// noon, as change changes it.
func newRow(change func(*db.Claimed, *db.Job)) *db.ClaimRow {
	row := &db.ClaimRow{
		Claimed: db.Claimed{
			JobID: uuid.UUID{1}, ScheduledFor: at(1), ReadyAt: at(1), CarriesSchedule: true, Attempt: 1, Token: 1,
			StartedAt: at(1), Trigger: db.RunTriggerSCHEDULE,
		},
		Job: db.Job{
			ID: uuid.UUID{1}, IntervalSeconds: new(int64(60)), AnchorAt: &noon, MisfirePolicy: db.MisfirePolicyFIREONCE,
			OverlapPolicy: db.OverlapPolicySKIP, MaxAttempts: 3, MinBackoffSeconds: 5, MaxBackoffSeconds: 5,
			RunHistory: db.RunHistoryALL, Status: db.JobStatusACTIVE,
		},
	}
	if change != nil {
		change(&row.Claimed, &row.Job)
	}
	return row
}

// begin returns an attempt that begins when its row may start.
func begin(t *testing.T, change func(*db.Claimed, *db.Job)) *Attempt {
	t.Helper()
	c := newClaimed(newRow(change))
	c.Holder = "me"
	attempt, ended := c.Prepare(c.Due.StartedAt)
	require.Nil(t, ended)
	attempt.Begin(c.Due.StartedAt)
	return attempt
}

// outcome is what tests compare of how a run ended.
type outcome struct {
	status     db.RunStatus
	reason     db.RunReason
	attempt    int16
	error      string
	executedBy string
	step       policy.Step
}

func outcomeOf(e *Ended) outcome {
	return outcome{e.status, e.reason, e.attempt, e.error, e.executedBy, e.step}
}

// failedBefore returns failed attempts as a row keeps them.
func failedBefore(t *testing.T, attempts ...failedAttempt) []byte {
	t.Helper()
	raw, err := json.Marshal(attempts)
	require.NoError(t, err)
	return raw
}
