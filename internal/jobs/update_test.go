package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// claim lets an attempt of all that is due begin, under a lease that nobody has.
func (f fixture) claim() {
	f.t.Helper()
	f.exec(`update due set lease_id = gen_random_uuid(), token = 1, attempt = attempt + 1,
		started_at = coalesce(started_at, greatest(now(), ready_at)) where ready_at <= now()`)
}

// backOff makes what is in flight wait for another attempt.
func (f fixture) backOff() {
	f.t.Helper()
	f.exec(`update due set lease_id = null, ready_at = now() + interval '1 hour', failed_attempts = '[]' where lease_id is not null`)
}

// A change that changes nothing stores nothing.
func TestIdenticalUpdate(t *testing.T) {
	t.Parallel()
	f := setup(t, withKey(t, "first"))
	const definition = `{"name":"x","intervalInSeconds":60,"payload":{"a": 1},"maxRuns":3,
		"target":{"type":"http","url":"https://example.com","secretHeaders":{"A":"secret"}}}`
	before := f.create(definition)
	xmin := f.count(`select xmin::text::bigint from jobs`)
	for _, change := range []string{definition, `{"status":"ACTIVE"}`, `{"target":{"type":"http","url":"https://example.com"}}`} {
		require.Equal(t, before, f.update(before.Job.ID, change), change)
		require.Equal(t, xmin, f.count(`select xmin::text::bigint from jobs`), "the row was not written: %s", change)
	}
	require.Zero(t, f.count(`select revision from due`))
	after := f.update(before.Job.ID, `{"target":{"type":"http","url":"https://example.com","secretHeaders":{"A":"other"}}}`)
	require.True(t, after.Job.UpdatedAt.After(before.Job.UpdatedAt), "another secret is a change")
}

// Secrets are opened only when they are needed.
func TestUpdateWithoutTheKeyOfTheSecrets(t *testing.T) {
	t.Parallel()
	first := setup(t, withKey(t, "first"))
	second := setupOn(t, first.Pool, withKey(t, "second"))
	const sealed = `{"name":"x","intervalInSeconds":60,"target":{"type":"http","url":"https://example.com","secretHeaders":{"A":"s"}}}`
	for name, c := range map[string]struct {
		target string
		code   Code // of a conflict
		fields map[string]Code
	}{
		"another type":        {`{"type":"log"}`, "", nil},
		"all secrets given":   {`{"type":"http","url":"https://example.com","secretHeaders":{"A":"t"}}`, "", nil},
		"secrets cleared":     {`{"type":"http","url":"https://example.com","secretHeaders":null}`, "", nil},
		"a secret cleared":    {`{"secretHeaders":{"A":null}}`, "", nil},
		"a secret added":      {`{"secretHeaders":{"B":"t"}}`, SecretsCannotBeOpened, nil},
		"added elsewhere":     {`{"url":"https://example.org","secretHeaders":{"B":"t"}}`, "", map[string]Code{"target.secretHeaders.A": SecretRequired}},
		"secrets left out":    {`{"type":"http","url":"https://example.com/other"}`, SecretsCannotBeOpened, nil},
		"another host":        {`{"type":"http","url":"https://example.org"}`, "", map[string]Code{"target.secretHeaders": SecretRequired}},
		"another secret only": {`{"type":"http","url":"https://example.com","signingSecrets":["w"]}`, SecretsCannotBeOpened, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := first.create(sealed)
			_, err := second.Update(t.Context(), me, job.Job.ID, decode(t, `{"target":`+c.target+`}`))
			switch {
			case c.code != "":
				var conflict *Conflict
				require.ErrorAs(t, err, &conflict)
				require.Equal(t, c.code, conflict.Code)
				require.Contains(t, conflict.Detail, `"first"`, "the key is named")
			case c.fields != nil:
				requireInvalid(t, err, c.fields)
			default:
				require.NoError(t, err)
			}
		})
	}
}

func TestCreateWithoutAKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := f.Create(t.Context(), me, decode(t, `{"name":"x","intervalInSeconds":60,
		"target":{"type":"http","url":"https://example.com","secretHeaders":{"A":"s"}}}`))
	requireInvalid(t, err, map[string]Code{"target.secretHeaders": SecretKeyMissing})
}

// An instant that has just passed is executed at once; an older one is refused.
func TestCreateForAnInstantThatHasPassed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	at := func(ago time.Duration) string {
		return `{"name":"x","runAt":"` + time.Now().Add(-ago).UTC().Format(time.RFC3339Nano) + `"}`
	}
	for _, ago := range []time.Duration{0, time.Second, 50 * time.Second} {
		job := f.create(at(ago))
		require.True(t, job.Job.RunAt.Equal(*job.NextRunAt), "it is due at its instant")
	}
	require.Equal(t, 3, f.count(`select count(*) from due where ready_at > scheduled_for and ready_at <= clock_timestamp()`),
		"ready from now on, so that no misfire policy drops it")
	_, err := f.Create(t.Context(), me, decode(t, at(2*time.Minute)))
	requireInvalid(t, err, map[string]Code{"runAt": NeverDue})

	job := f.create(`{"name":"x","runAt":"2100-01-01T00:00:00Z"}`)
	require.NotNil(t, f.update(job.Job.ID, at(time.Second)).NextRunAt, "also by a change")
	f.exec(`delete from due`)
	f.exec(`update jobs set status = 'COMPLETED'`)
	_, err = f.Update(t.Context(), me, job.Job.ID, decode(t, `{"status":"ACTIVE"}`))
	requireInvalid(t, err, map[string]Code{"runAt": NeverDue})
}

// A run that waits for its backoff ends at once when no attempt is left to it.
func TestRunsThatWaitEndAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target string
		end    func(fixture, View)
		ready  int
	}{
		"deleted":                {`{"type":"log"}`, func(f fixture, v View) { require.NoError(f.t, f.Delete(f.t.Context(), me, v.Job.ID)) }, 1},
		"deleted, of workers":    {`{"type":"worker","queue":"q"}`, func(f fixture, v View) { require.NoError(f.t, f.Delete(f.t.Context(), me, v.Job.ID)) }, 1},
		"fewer attempts":         {`{"type":"log"}`, func(f fixture, v View) { f.update(v.Job.ID, `{"maxAttempts":1}`) }, 1},
		"enough attempts remain": {`{"type":"log"}`, func(f fixture, v View) { f.update(v.Job.ID, `{"maxAttempts":2}`) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := make(chan time.Time, 10)
			f := setup(t, func(c *Config) {
				c.Announce = func(queue string, readyAt time.Time) {
					if queue == "" {
						told <- readyAt
					}
				}
			})
			job := f.create(`{"name":"x","intervalInSeconds":60,"target":` + c.target + `}`)
			f.exec(`update due set scheduled_for = scheduled_for - interval '2 minutes', ready_at = ready_at - interval '2 minutes'`)
			f.claim()
			f.backOff()
			for len(told) > 0 {
				<-told
			}
			c.end(f, job)
			require.Equal(t, c.ready, f.count(`select count(*) from due where attempt = 1 and ready_at <= now() and not awaits_worker`))
			if c.ready > 0 {
				require.Zero(t, <-told, "the instances are told to look")
			}
		})
	}
}
