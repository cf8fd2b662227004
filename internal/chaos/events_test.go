//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/runid"
)

// Instances and PostgreSQL are killed while jobs fire, one run in ten fails, an alert is started by
// each failure, and chains run. Each event has exactly one run, by the history.
func TestEventsOfKilledInstances(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(target.Close)
	at, err := url.Parse(target.URL)
	require.NoError(t, err)
	s := &system{postgres: startPostgres(t, "127.0.0.1")}
	s.db, s.url = s.postgres.connect(t), s.postgres.url("127.0.0.1")
	config := instanceConfig{databaseURL: s.url, env: []string{
		"OUTBOUND_ALLOW_CIDRS=127.0.0.0/8", "OUTBOUND_ALLOW_PORTS=" + at.Port(),
	}}
	for range 3 {
		s.addWith(t, config)
	}
	started := map[string]uuid.UUID{} // by their keys
	for key, on := range map[string]string{
		"alert":  `{"events":["run.failed"],"jobs":{"labelSelector":"role=failing"}}`,
		"second": `{"events":["run.succeeded"],"jobs":{"labelSelector":"role=first"}}`,
		"third":  `{"events":["run.succeeded"],"jobs":{"keys":["second"]}}`,
	} {
		started[key] = s.instances[0].mustCreate(t, fmt.Sprintf(`{"name":%q,"key":%q,"startsOn":%s}`, key, key, on))
	}
	watched := s.loadWatched(t, target.URL)

	every(t, 8*time.Second, forHowLong(42*time.Second), func(n int) {
		if n%3 == 2 {
			s.postgres.crash()
			s.postgres.start(t)
			s.db.Reset()
			t.Log("PostgreSQL was killed")
			return
		}
		victim := s.instances[0] // the oldest
		victim.kill()
		t.Logf("%s was killed", victim.name)
		s.remove(victim)
		s.addWith(t, config)
	})
	s.pauseAll(t, watched)
	eventually(t, settleWithin, func() bool {
		var left int
		err := s.db.QueryRow(t.Context(), "select (select count(*) from event_starts) + (select count(*) from due)").Scan(&left)
		return err == nil && left == 0
	}, "all that happened has been told")
	s.settle(t)

	s.requireTold(t, started["alert"], "r.status = 'FAILED' and j.labels ->> 'role' = 'failing'")
	s.requireTold(t, started["second"], "r.status = 'SUCCEEDED' and j.labels ->> 'role' = 'first'")
	s.requireTold(t, started["third"], "r.status = 'SUCCEEDED' and j.key = 'second'")
	var runs, failed, seconds int
	require.NoError(t, s.db.QueryRow(t.Context(), `
		select count(*), count(*) filter (where status = 'FAILED'), extract(epoch from max(finished_at) - min(started_at))::integer
		from runs`).Scan(&runs, &failed, &seconds))
	t.Logf("%d runs in %d s, %d of them failed", runs, seconds, failed)
	s.reportLateness(t)
}

// loadWatched creates jobs that fire at about the rate: of ten, one fails each time, and one is the
// first of a chain.
func (s *system) loadWatched(t *testing.T, failing string) (ids []uuid.UUID) {
	t.Helper()
	var creators errgroup.Group
	creators.SetLimit(8)
	ids = make([]uuid.UUID, *rate)
	for n := range ids {
		labels, target := `{"role":"other"}`, `{"type":"log"}`
		switch n % 10 {
		case 0:
			labels, target = `{"role":"failing"}`, fmt.Sprintf(`{"type":"http","url":%q}`, failing)
		case 1:
			labels = `{"role":"first"}`
		}
		body := fmt.Sprintf(`{"name":"watched-%d","intervalInSeconds":1,"misfirePolicy":"FIRE_ALL","maxAttempts":%d,"labels":%s,"target":%s}`,
			n, 1+min(n%10, 1)*2, labels, target)
		creators.Go(func() (err error) {
			ids[n] = s.instances[n%3].mustCreate(t, body)
			return nil
		})
	}
	require.NoError(t, creators.Wait())
	return ids
}

// mustCreate creates a job.
func (i *instance) mustCreate(t *testing.T, body string) uuid.UUID {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	created, err := i.CreateJobWithBodyWithResponse(ctx, nil, "application/json", strings.NewReader(body))
	if assert.NoError(t, err) && assert.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body) {
		return created.JSON201.Id
	}
	return uuid.Nil
}

// pauseAll pauses jobs.
func (s *system) pauseAll(t *testing.T, ids []uuid.UUID) {
	t.Helper()
	var pausers errgroup.Group
	pausers.SetLimit(8)
	for n, id := range ids {
		pausers.Go(func() error {
			body, err := json.Marshal(map[string]any{"status": "PAUSED"})
			if err != nil {
				return err
			}
			paused, err := s.instances[n%3].UpdateJobWithBodyWithResponse(t.Context(), id, &client.UpdateJobParams{},
				"application/json", strings.NewReader(string(body)))
			if err == nil && paused.StatusCode() != http.StatusOK {
				err = fmt.Errorf("answered %d: %s", paused.StatusCode(), paused.Body)
			}
			return err
		})
	}
	require.NoError(t, pausers.Wait(), "all jobs are paused")
}

// requireTold requires that a job has had exactly one run for the end of each of some runs, which a
// condition selects.
func (s *system) requireTold(t *testing.T, job uuid.UUID, condition string) {
	t.Helper()
	told := map[uuid.UUID]int{}
	rows, err := s.db.Query(t.Context(), "select caused_by from runs where job_id = $1 and trigger = 'EVENT'", job)
	require.NoError(t, err)
	for rows.Next() {
		var causedBy uuid.UUID
		require.NoError(t, rows.Scan(&causedBy))
		told[causedBy]++
	}
	require.NoError(t, rows.Err())
	rows, err = s.db.Query(t.Context(), "select r.job_id, r.scheduled_for from runs r join jobs j on j.id = r.job_id where "+condition)
	require.NoError(t, err)
	happened, missing, doubled := 0, 0, 0
	for rows.Next() {
		var of uuid.UUID
		var scheduledFor time.Time
		require.NoError(t, rows.Scan(&of, &scheduledFor))
		id := runid.New(of, scheduledFor)
		switch happened++; {
		case told[id] == 0:
			missing++
		case told[id] > 1:
			doubled++
		}
		delete(told, id)
	}
	require.NoError(t, rows.Err())
	t.Logf("%d events, %d without a run, %d with two, %d runs without an event (%s)", happened, missing, doubled, len(told), condition)
	require.Positive(t, happened)
	require.Zero(t, missing+doubled+len(told))
}
