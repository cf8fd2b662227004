package events_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/events"
)

var at = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestJSON(t *testing.T) {
	t.Parallel()
	job := &db.Job{ID: uuid.MustParse("0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e"), Namespace: "default", Key: new("a/b"), Name: "n"}
	run := events.Run{
		ID: uuid.MustParse("0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e"), Status: db.RunStatusFAILED, Trigger: db.RunTriggerSCHEDULE,
		ScheduledFor: at, StartedAt: at, FinishedAt: at.Add(time.Second), Attempt: 3, Occurrences: 1, Error: "first\r\nsecond",
	}
	const names = `"namespace":"default","jobId":"0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e","jobKey":"a/b","jobName":"n"`
	for want, e := range map[string]events.Event{
		`{"type":"run.failed","timestamp":"2026-11-27T12:00:01.000000Z","data":{` + names + `,
			"runId":"0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e","status":"FAILED","reason":null,"trigger":"SCHEDULE",
			"scheduledFor":"2026-11-27T12:00:00.000000Z","startedAt":"2026-11-27T12:00:00.000000Z",
			"finishedAt":"2026-11-27T12:00:01.000000Z","attempt":3,"occurrences":1,"error":"first"}}`: events.OfRun(events.RunFailed, job, run),
		`{"type":"job.paused","timestamp":"2026-11-27T12:00:00.000000Z","data":{` + names + `,
			"runId":null,"consecutiveFailures":2,"statusReason":"why","actor":"user:a","overdueSince":null,"error":null}}`: events.OfJob(
			events.JobPaused, job, events.Change{At: at, ConsecutiveFailures: 2, StatusReason: new("why"), Actor: new("user:a")}),
		`{"type":"queue.unattended","timestamp":"2026-11-27T12:00:00.000000Z","data":{"namespace":"default","queue":"q",
			"waitingSince":"2026-11-27T11:59:00.000000Z"}}`: events.OfQueue(
			events.QueueUnattended, at, "default", "q", at.Add(-time.Minute)),
		`{"type":"connection.down","timestamp":"2026-11-27T12:00:00.000000Z","data":{"namespace":"default","connection":"crm",
			"reason":"refused"}}`: events.OfConnection(events.ConnectionDown, at, "default", "crm", "refused"),
	} {
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		require.JSONEq(t, want, string(raw))
	}
}

func TestErrorIsBounded(t *testing.T) {
	t.Parallel()
	e := events.OfRun(events.RunFailed, &db.Job{}, events.Run{Error: strings.Repeat("ä", 501)})
	require.Equal(t, strings.Repeat("ä", 500), *e.Data.(events.RunData).Error)
}
