package idempotency_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/idempotency"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// fixture is a database with two instances, of which the first is not alive any more.
type fixture struct {
	*enginetest.Engine
	dead, alive *idempotency.Service
}

func setup(t *testing.T) fixture {
	t.Helper()
	e := enginetest.New(t)
	id := uuid.New()
	require.NoError(t, e.RenewInstance(t.Context(), db.RenewInstanceParams{
		ID: id, Name: "alive", Roles: []string{"API"}, Duration: time.Hour, AskedQueues: []string{}, Asking: []int32{},
	}))
	return fixture{
		e, idempotency.New(idempotency.Config{Pool: e.Pool, Instance: uuid.New()}),
		idempotency.New(idempotency.Config{Pool: e.Pool, Instance: id}),
	}
}

// request is the one that is repeated.
var request = idempotency.Request{Key: "k", Method: "POST", Path: "/api/v1/jobs", Body: []byte(`{}`)}

// begin begins the request at an instance, and returns the caller with the id of the attempt.
func (f fixture) begin(at *idempotency.Service) (access.Caller, *idempotency.Attempt) {
	f.T.Helper()
	begun, err := at.Begin(f.T.Context(), caller("client-1"), request)
	require.NoError(f.T, err)
	require.NotNil(f.T, begun.Attempt, "it is to be served")
	return caller(begun.Attempt.ID), begun.Attempt
}

// caller returns the caller of a request.
func caller(requestID string) access.Caller {
	by := enginetest.By
	by.RequestID = requestID
	return by
}

// changes are the ways in which a request changes something, by the statement that writes the
// audit.
var changes = map[string]func(*testing.T, fixture, access.Caller, *db.Queries) error{
	"CreateJob": func(t *testing.T, f fixture, by access.Caller, _ *db.Queries) error {
		t.Helper()
		_, err := f.Jobs.Create(t.Context(), by, job(t))
		return err
	},
	"AddToAudit": func(t *testing.T, _ fixture, by access.Caller, tx *db.Queries) error {
		t.Helper()
		return audit.Record(t.Context(), tx, by, entry)
	},
	"CopyAudit": func(t *testing.T, _ fixture, by access.Caller, tx *db.Queries) error {
		t.Helper()
		return audit.RecordAll(t.Context(), tx, by, []audit.Entry{entry, entry})
	},
}

var entry = audit.Entry{Operation: "runJob", Type: audit.Job, ID: "x"}

func job(t *testing.T) (change jobs.Change) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(`{"name":"once","intervalInSeconds":60}`), &change))
	return change
}

// someoneWaits waits until a session waits for a lock.
func (f fixture) someoneWaits() {
	f.T.Helper()
	require.Eventually(f.T, func() bool {
		return f.Count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0
	}, 10*time.Second, 2*time.Millisecond, "a session waits for a lock")
}
