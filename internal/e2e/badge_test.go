package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
)

// badgeAnswer is what is known of an answer besides its body.
type badgeAnswer struct {
	StatusCode int
	Header     http.Header
}

// badge asks for the badge of a job, and returns the answer and its body.
func (i instance) badge(t *testing.T, job uuid.UUID, header http.Header) (badgeAnswer, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url+"/api/v1/jobs/"+job.String()+"/badge.svg", http.NoBody)
	require.NoError(t, err)
	r.Header = header.Clone()
	got, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	return badgeAnswer{got.StatusCode, got.Header}, string(body)
}

// A badge that is public needs no key, and one that is not does not exist for who has none.
func TestBadge(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, app.Config{}, "team", "other")
	bearer := func(namespace string, scopes ...access.Scope) http.Header {
		_, key := g.key(t, namespace, scopes...)
		return http.Header{"Authorization": {"Bearer " + key}}
	}
	owner := g.with(t, bearer("team"))
	public := owner.create(t, `{"name":"a <b> & \"c\"","intervalInSeconds":3600,"publicBadge":true}`)
	private := owner.create(t, `{"name":"private","intervalInSeconds":3600}`)

	got, svg := g.badge(t, public.Id, nil)
	require.Equal(t, http.StatusOK, got.StatusCode, svg)
	require.Equal(t, "image/svg+xml", got.Header.Get("Content-Type"))
	require.Equal(t, "public, max-age=60", got.Header.Get("Cache-Control"))
	require.Contains(t, svg, "a &lt;b&gt; &amp; &#34;c&#34;: never ran")
	again, body := g.badge(t, public.Id, http.Header{"If-None-Match": {`"x", W/` + got.Header.Get("ETag")}})
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	require.Empty(t, body)
	labeled, err := owner.GetJobBadgeWithResponse(t.Context(), public.Id, &client.GetJobBadgeParams{Label: new("nightly")})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, labeled.StatusCode())
	require.Contains(t, string(labeled.Body), "nightly: never ran")
	require.NotContains(t, string(labeled.Body), "b&gt;")

	reader := bearer("team", access.JobsRead)
	got, svg = g.badge(t, private.Id, reader)
	require.Equal(t, http.StatusOK, got.StatusCode, svg)
	require.Equal(t, "private, max-age=60", got.Header.Get("Cache-Control"))
	for name, header := range map[string]http.Header{
		"no key": nil, "a key without the scope": bearer("team", access.Workers), "another namespace": bearer("other"),
	} {
		got, _ := g.badge(t, public.Id, header)
		require.Equal(t, http.StatusOK, got.StatusCode, name)
		var answers []client.Problem
		for _, id := range []uuid.UUID{private.Id, uuid.Must(uuid.NewV7())} {
			got, body := g.badge(t, id, header)
			require.Equal(t, http.StatusNotFound, got.StatusCode, name)
			require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
			var problem client.Problem
			require.NoError(t, json.Unmarshal([]byte(body), &problem))
			problem.RequestId = nil
			answers = append(answers, problem)
		}
		require.Equal(t, answers[0], answers[1], "what is not public and what is not there are the same")
	}
	refused, _ := g.badge(t, public.Id, http.Header{"Authorization": {"Bearer nobody"}})
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode, "credentials that are sent have to be valid")

	owner.updateJob(t, public.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
	_, svg = g.badge(t, public.Id, nil)
	require.Contains(t, svg, ": paused")
	deleted, err := owner.DeleteJobWithResponse(t.Context(), public.Id, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	got, _ = g.badge(t, public.Id, nil)
	require.Equal(t, http.StatusNotFound, got.StatusCode)
}

// Callers without credentials share a limit by their address.
func TestBadgeIsLimited(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, app.Config{})
	_, key := g.key(t, "default")
	public := g.as(t, key).create(t, `{"name":"a","intervalInSeconds":3600,"publicBadge":true}`)
	// Many at once: one after the other, a slow machine may make fewer than are allowed.
	var refused atomic.Int32
	for round := 0; refused.Load() == 0; round++ {
		require.Less(t, round, 20, "some are refused")
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				got, err := g.GetJobBadgeWithResponse(t.Context(), public.Id, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got.StatusCode() == http.StatusOK {
					return
				}
				assert.Equal(t, http.StatusTooManyRequests, got.StatusCode())
				assert.NotEmpty(t, got.HTTPResponse.Header.Get("Retry-After"))
				assert.Contains(t, string(got.Body), "The address may make 50 requests in a second.")
				refused.Add(1)
			})
		}
		all.Wait()
	}
	got, _ := g.badge(t, public.Id, http.Header{"Authorization": {"Bearer " + key}})
	require.Equal(t, http.StatusOK, got.StatusCode, "who has a key is not held up")
}

// The numbers of a job are those of its stored runs.
func TestJobStats(t *testing.T) {
	t.Parallel()
	service, db := setup(t)
	job := service.createJob(t, "counted", 3600, `null`)
	age(t, db, job.Id, 3600*time.Second)
	require.Equal(t, 1, service.pass(t))
	read := func(p client.GetJobStatsParams) client.JobStats {
		t.Helper()
		got, err := service.GetJobStatsWithResponse(t.Context(), job.Id, &p)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode(), "counted: %s", got.Body)
		return *got.JSON200
	}
	days := read(client.GetJobStatsParams{})
	require.Equal(t, client.StatsStepDAY, days.Step)
	require.False(t, days.IsCapped)
	require.LessOrEqual(t, len(days.Items), 9)
	require.EqualValues(t, 1, days.Totals.Succeeded+days.Totals.Failed+days.Totals.Skipped)

	// As many runs of another time as are counted at most, and one more.
	hour := time.Now().UTC().Truncate(time.Hour)
	_, err := db.Exec(t.Context(), "select create_runs_partition($1::date), create_runs_partition($1::date + 1)", hour)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `
		insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences, error)
		select $1, at, at + interval '10 ms', at + interval '110 ms', case when n % 10 = 0 then 'FAILED' else 'SUCCEEDED' end::run_status, 1, 1,
			case when n % 10 = 0 then 'no' end
		from (select n, $2::timestamptz + make_interval(secs => n * 3) as at from generate_series(1, 10001) as n) r`, job.Id, hour)
	require.NoError(t, err)
	ahead := hour.Add(24 * time.Hour)
	hours := read(client.GetJobStatsParams{From: &hour, To: &ahead})
	require.Equal(t, client.StatsStepHOUR, hours.Step)
	require.Len(t, hours.Items, 24)
	require.True(t, hours.IsCapped)
	require.EqualValues(t, 10_000, hours.Totals.Succeeded+hours.Totals.Failed+hours.Totals.Skipped)
	require.InEpsilon(t, 1000, hours.Totals.Failed, 0.01)
	require.EqualValues(t, 1200, hours.Items[2].Succeeded+hours.Items[2].Failed)
	require.InEpsilon(t, 10, hours.Items[2].LatenessMilliseconds.P50, 0.04)
	require.InEpsilon(t, 100, hours.Items[2].DurationMilliseconds.P99, 0.04)

	none, err := service.GetJobStatsWithResponse(t.Context(), uuid.Must(uuid.NewV7()), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, none.StatusCode())
}
