package jobs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/secrets"
	"punctual/internal/testdb"
)

// me is who changes jobs.
var me = access.Anonymous(access.DefaultNamespace)

// fixture is a Service on a database of its own.
type fixture struct {
	*Service
	t *testing.T
}

func setup(t *testing.T, change ...func(*Config)) fixture {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return setupOn(t, pool, change...)
}

func setupOn(t *testing.T, pool *pgxpool.Pool, change ...func(*Config)) fixture {
	t.Helper()
	c := Config{Pool: pool, Contract: Contract{
		Defaults: Change{
			Target: Given(Target{"type": "log"}), MisfirePolicy: Given(db.MisfirePolicyFIREONCE),
			OnSkipped: Given(db.OnSkippedDROP), AlertAfterFailures: Given(int16(1)), MaxAttempts: Given(int16(3)), MaxBackoffSeconds: Given(int32(600)),
			AttemptDeadlineSeconds: Given(int32(60)), RunHistory: Given(db.RunHistoryALL),
		},
		TargetTypes: map[string]TargetType{
			"log":  {},
			"http": {IsSecret: map[string]bool{"secretHeaders": true, "signingSecrets": true}},
		},
	}}
	for _, f := range change {
		f(&c)
	}
	return fixture{New(c), t}
}

// withKey gives a service a key of its own for secrets.
func withKey(t *testing.T, id string) func(*Config) {
	t.Helper()
	_, key, _ := strings.Cut(secrets.GenerateKey(time.Now()), ":")
	keys, err := secrets.ParseKeyring(id + ":" + key)
	require.NoError(t, err)
	return func(c *Config) { c.Secrets = keys }
}

func decode(t *testing.T, change string) (c Change) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(change), &c))
	return c
}

func (f fixture) create(change string) View {
	f.t.Helper()
	view, err := f.Create(f.t.Context(), me, decode(f.t, change))
	require.NoError(f.t, err)
	return view
}

func (f fixture) update(id uuid.UUID, change string) View {
	f.t.Helper()
	view, err := f.Update(f.t.Context(), me, id, decode(f.t, change))
	require.NoError(f.t, err)
	return view
}

func (f fixture) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.Pool.Exec(f.t.Context(), sql, args...)
	require.NoError(f.t, err)
}

func (f fixture) count(sql string) (n int) {
	f.t.Helper()
	require.NoError(f.t, f.Pool.QueryRow(f.t.Context(), sql).Scan(&n))
	return n
}

// pausedFor makes a paused job be paused since so long ago, and created before.
func (f fixture) pausedFor(id uuid.UUID, d time.Duration) {
	f.t.Helper()
	f.exec(`update jobs set paused_since = paused_since - $2::interval, created_at = created_at - $2::interval,
		anchor_at = anchor_at - $2::interval where id = $1`, id, d)
}

// skips are the skipped runs of a job.
type skip struct {
	Reason, StatusReason string
	Occurrences          int
}

func (f fixture) skips(id uuid.UUID) (all []skip) {
	f.t.Helper()
	rows, err := f.Pool.Query(f.t.Context(), `select reason::text, coalesce(status_reason, ''), occurrences from runs
		where job_id = $1 and status = 'SKIPPED' order by scheduled_for`, id)
	require.NoError(f.t, err)
	defer rows.Close()
	for rows.Next() {
		var s skip
		require.NoError(f.t, rows.Scan(&s.Reason, &s.StatusReason, &s.Occurrences))
		all = append(all, s)
	}
	require.NoError(f.t, rows.Err())
	return all
}

// requireInvalid checks which fields an error names, with which codes.
func requireInvalid(t *testing.T, err error, want map[string]Code) {
	t.Helper()
	var invalid *Invalid
	require.ErrorAs(t, err, &invalid)
	got := map[string]Code{}
	for _, f := range invalid.Fields {
		got[f.Name] = f.Code
	}
	require.Equal(t, want, got)
}
