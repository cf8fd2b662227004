package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// wanderFor is how long the callers wander. More steps find no more within seconds.
const wanderFor = 4 * time.Second

// Callers of two namespaces do whatever they like with every id, cursor and token that anybody was
// ever given. Neither sees an id of the other, and nothing that one does to what the other has
// succeeds.
func TestCallersNeverMeet(t *testing.T) {
	t.Parallel()
	blue, red, _ := twoNamespaces(t)
	w := &wanderers{callers: [2]*wanderer{{instance: blue}, {instance: red}}, requests: map[string]int{}}
	until := time.Now().Add(wanderFor)
	rapid.Check(t, func(rt *rapid.T) {
		if time.Now().After(until) {
			return
		}
		rt.Repeat(map[string]func(*rapid.T){"request": func(rt *rapid.T) { w.step(t, rt) }})
	})
	for what, n := range w.requests {
		require.Positive(t, n)
		t.Log(n, what)
	}
	for _, outcome := range []string{"own: done", "of the other: refused", "nobody's: done"} {
		require.Positive(t, w.requests[outcome], "requests that were %s", outcome)
	}
}

// wanderers are the callers, and what anybody was ever given.
type wanderers struct {
	callers  [2]*wanderer
	things   []given
	cursors  []string
	requests map[string]int
}

type wanderer struct {
	instance
	ids []string // what marks an answer as one with something of this caller
}

// given is an id that a caller was given.
type given struct {
	kind  string // jobs, runs or leases
	id    string
	token int64
	owner int
}

// moves are the requests about a thing, by its kind.
var moves = map[string][]struct{ method, path, body string }{
	"jobs": {
		{"GET", "/jobs/%s", ""},
		{"PATCH", "/jobs/%s", `{"status":"PAUSED"}`},
		{"PATCH", "/jobs/%s", `{"status":"ACTIVE"}`},
		{"DELETE", "/jobs/%s", ""},
		{"GET", "/jobs/%s/runs", ""},
		{"POST", "/jobs/%s/run", ""},
		{"GET", "/jobs/%s/upcoming", ""},
		{"GET", "/jobs/%s/versions", ""},
		{"GET", "/jobs/%s/versions/1", ""},
		{"POST", "/jobs/%s/backfill", `{"from":"FROM","to":"TO"}`},
	},
	"runs": {
		{"GET", "/runs/%s", ""},
		{"POST", "/runs/%s/cancel", ""},
		{"POST", "/runs/%s/retry", ""},
		{"POST", "/runs/%s/complete", `{"token":TOKEN}`},
		{"POST", "/runs/%s/fail", `{"token":TOKEN,"error":"no"}`},
		{"POST", "/runs/%s/release", `{"token":TOKEN}`},
	},
	"leases": {{"POST", "/leases/%s/heartbeat", ""}},
}

// step makes one request of one caller.
func (w *wanderers) step(t *testing.T, rt *rapid.T) {
	t.Helper()
	who := rapid.IntRange(0, 1).Draw(rt, "who")
	kind := rapid.SampledFrom([]string{"create", "create", "list", "lease", "lease", "jobs", "jobs", "runs", "runs", "runs", "leases"}).Draw(rt, "kind")
	var known []given
	for _, thing := range w.things {
		if thing.kind == kind {
			known = append(known, thing)
		}
	}
	switch {
	case kind == "list":
		query := ""
		if len(w.cursors) > 0 {
			query = rapid.SampledFrom([]string{"", "?limit=1&cursor=" + rapid.SampledFrom(w.cursors).Draw(rt, "cursor")}).Draw(rt, "query")
		}
		w.send(t, rt, who, nil, "GET", rapid.SampledFrom([]string{"/jobs", "/audit"}).Draw(rt, "list")+query, "")
	case kind == "lease":
		w.send(t, rt, who, nil, "POST", "/queues/q/leases", `{"waitSeconds":0,"maxRuns":2}`)
	case kind == "create" || len(known) == 0:
		w.send(t, rt, who, nil, "POST", "/jobs", `{"name":"same","cron":"* * * * *","overlapPolicy":"ALLOW_ALL"`+queued+`}`)
	default:
		thing := rapid.SampledFrom(known).Draw(rt, "thing")
		move := rapid.SampledFrom(moves[kind]).Draw(rt, "move")
		to := time.Now().UTC().Truncate(time.Minute).Add(-time.Minute)
		body := strings.NewReplacer("TOKEN", strconv.FormatInt(thing.token, 10), "FROM", to.Add(-2*time.Minute).Format(time.RFC3339),
			"TO", to.Format(time.RFC3339)).Replace(move.body)
		w.send(t, rt, who, &thing, move.method, fmt.Sprintf(move.path, thing.id), body)
	}
}

// send sends a request, perhaps about a thing, and checks that the answer has nothing of the other
// caller.
func (w *wanderers) send(t *testing.T, rt *rapid.T, who int, about *given, method, path, body string) {
	t.Helper()
	caller, other := w.callers[who], w.callers[1-who]
	status, content := caller.raw(t, method, "/api/v1"+path, body)
	require.Less(rt, status, 500, "%s %s: %s", method, path, content)
	require.Empty(rt, shownOf(other.ids, content), "%s %s shows what the other has: %s", method, path, content)
	outcome := "done"
	if status >= 400 {
		outcome = "refused"
	}
	switch {
	case about == nil:
		w.requests["nobody's: "+outcome]++
		if status != http.StatusBadRequest || !strings.Contains(path, "cursor") { // of another kind of list
			require.Less(rt, status, 300, "%s %s: %s", method, path, content)
		}
	case about.owner == who:
		w.requests["own: "+outcome]++
	default:
		w.requests["of the other: "+outcome]++
		if about.kind == "leases" {
			require.Equal(rt, http.StatusConflict, status, "%s %s: %s", method, path, content)
		} else {
			require.Equal(rt, http.StatusNotFound, status, "%s %s: %s", method, path, content)
		}
	}
	if status < 300 {
		w.remember(rt, who, path, content)
	}
}

// remember keeps the ids and cursors of an answer.
func (w *wanderers) remember(rt *rapid.T, who int, path, content string) {
	var answer struct {
		ID         string  `json:"id"`
		JobID      string  `json:"jobId"`
		NextCursor *string `json:"nextCursor"`
		Items      []struct {
			ID           string `json:"id"`
			ScheduledFor string `json:"scheduledFor"`
		} `json:"items"`
		Runs json.RawMessage `json:"runs"` // a number in the answer to a backfill
	}
	if content == "" {
		return
	}
	require.NoError(rt, json.Unmarshal([]byte(content), &answer), content)
	if answer.NextCursor != nil {
		w.cursors = append(w.cursors, *answer.NextCursor)
	}
	switch {
	case path == "/jobs":
		w.keep(who, given{kind: "jobs", id: answer.ID})
	case strings.HasPrefix(path, "/queues/"):
		w.keep(who, given{kind: "leases", id: answer.ID})
		var runs []struct {
			ID    string `json:"id"`
			Token int64  `json:"token"`
		}
		require.NoError(rt, json.Unmarshal(answer.Runs, &runs))
		for _, run := range runs {
			w.keep(who, given{kind: "runs", id: run.ID, token: run.Token})
		}
	case answer.JobID != "":
		w.keep(who, given{kind: "runs", id: answer.ID, token: 1})
	}
}

func (w *wanderers) keep(who int, thing given) {
	if thing.id == "" {
		return // a list of jobs
	}
	thing.owner = who
	w.things = append(w.things, thing)
	mark := thing.id
	if thing.kind != "leases" {
		mark = thing.id[19:] // what the ids of a job and its runs have in common
	}
	w.callers[who].ids = append(w.callers[who].ids, mark)
}

// raw sends a request with the headers of the caller, and returns the answer's status and body.
func (i instance) raw(t *testing.T, method, path, body string) (status int, content string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, i.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(request.Header, i.header)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(raw)
}
