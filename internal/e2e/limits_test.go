package e2e

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// requireTooMany checks that an answer is 429 and says after how long to try again.
func requireTooMany(t *testing.T, status int, header http.Header, p *client.Problem, detail string) {
	t.Helper()
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "too-many-requests", p.Code)
	require.Contains(t, p.Detail, detail)
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
}

// refusedOf sends requests of some callers at once until one is not served, and returns that
// answer. One after the other, they may be fewer a second than a limit on a busy machine.
func refusedOf(t *testing.T, callers ...instance) (refused *client.ListJobsResponse) {
	t.Helper()
	require.Eventually(t, func() bool {
		const each = 10
		var requests errgroup.Group
		answers := make(chan *client.ListJobsResponse, each*len(callers))
		for n := range cap(answers) {
			requests.Go(func() error {
				got, err := callers[n%len(callers)].ListJobsWithResponse(t.Context(), nil)
				answers <- got
				return err
			})
		}
		require.NoError(t, requests.Wait())
		close(answers)
		for answer := range answers {
			if answer.StatusCode() != http.StatusOK {
				refused = answer
			}
		}
		return refused != nil
	}, patience, time.Millisecond, "too many are refused")
	return refused
}

func TestLimitOfKey(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	_, limited := makeKey(t, db, "default", keys.Request{RequestsPerSecond: new(int32(3))})
	_, free := makeKey(t, db, "default", keys.Request{})
	list := func(key string) *client.ListJobsResponse {
		got, err := service.as(t, key).ListJobsWithResponse(t.Context(), nil)
		require.NoError(t, err)
		return got
	}
	first := list(limited)
	require.Equal(t, http.StatusOK, first.StatusCode())
	require.Equal(t, `"key";q=3;w=1`, first.HTTPResponse.Header.Get("RateLimit-Policy"))
	require.Equal(t, `"key";r=2;t=1`, first.HTTPResponse.Header.Get("RateLimit"))

	refused := refusedOf(t, service.as(t, limited))
	requireTooMany(t, refused.StatusCode(), refused.HTTPResponse.Header, refused.ApplicationproblemJSON429, "The key may make 3 requests in a second.")
	require.Equal(t, `"key";r=0;t=1`, refused.HTTPResponse.Header.Get("RateLimit"))
	require.Eventually(t, func() bool { return list(limited).StatusCode() == http.StatusOK }, 5*time.Second, 50*time.Millisecond)

	for range 20 {
		got := list(free)
		require.Equal(t, http.StatusOK, got.StatusCode(), "other keys do not suffer")
		require.Empty(t, got.HTTPResponse.Header.Get("RateLimit"))
	}
}

func TestLimitOfNamespace(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	_, err := db.Exec(t.Context(), `
		insert into namespaces (name, description, requests_per_second, created_at, updated_at) values ('team', '', 2, now(), now())`)
	require.NoError(t, err)
	_, one := makeKey(t, db, "team", keys.Request{RequestsPerSecond: new(int32(100))})
	_, two := makeKey(t, db, "team", keys.Request{})
	last := refusedOf(t, service.as(t, one), service.as(t, two)) // its keys have the limit together
	requireTooMany(t, last.StatusCode(), last.HTTPResponse.Header, last.ApplicationproblemJSON429, "The namespace team may make 2 requests in a second.")
	got, err := service.as(t, one).ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, `"key";q=100;w=1, "namespace";q=2;w=1`, strings.Join(got.HTTPResponse.Header.Values("RateLimit-Policy"), ", "))

	_, operator := makeKey(t, db, "team", keys.Request{IsServiceWide: true})
	for range 5 {
		got, err := service.as(t, operator).in(t, "team").ListJobsWithResponse(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode(), "the team does not lock the operator out")
	}
}

// Credentials that are not valid are counted by address, and the database is not asked about more
// of them. Whoever has a key that the instance knows does not notice.
func TestLimitOfFailures(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	db := connect(t, url)
	service := start(t, app.Config{
		Role: app.RoleAPI, Auth: app.AuthRequired, Database: app.DatabaseConfig{URL: url}, AuthFailuresPerMinute: 20,
	})
	_, known := makeKey(t, db, "default", keys.Request{})
	_, unused := makeKey(t, db, "default", keys.Request{})
	_, sample := makeKey(t, db, "default", keys.Request{})
	_, err := db.Exec(t.Context(), "delete from keys where id = split_part($1, '_', 2)", sample)
	require.NoError(t, err)
	status := func(key string) int {
		got, err := service.as(t, key).ListJobsWithResponse(t.Context(), nil)
		require.NoError(t, err)
		if got.StatusCode() == http.StatusTooManyRequests {
			requireTooMany(t, got.StatusCode(), got.HTTPResponse.Header, got.ApplicationproblemJSON429, "came from this address")
		}
		return got.StatusCode()
	}
	for range 30 {
		require.Equal(t, http.StatusOK, status(known), "what succeeds does not count")
	}
	var flood errgroup.Group
	answers := make(chan int, 200)
	for range 200 {
		flood.Go(func() error {
			got, err := service.as(t, sample).ListJobsWithResponse(t.Context(), nil)
			if err == nil {
				answers <- got.StatusCode()
			}
			return err
		})
	}
	require.NoError(t, flood.Wait())
	close(answers)
	counts := map[int]int{}
	for answer := range answers {
		counts[answer]++
	}
	require.Equal(t, 200, counts[http.StatusUnauthorized]+counts[http.StatusTooManyRequests], "%v", counts)
	require.LessOrEqual(t, counts[http.StatusUnauthorized], 25, "20, and some that time has added")
	require.Equal(t, http.StatusTooManyRequests, status("punc_not_a_key"), "one that nobody looks up is refused, too")
	require.Equal(t, http.StatusTooManyRequests, status(unused), "nobody knows yet whether this one is valid")
	require.Equal(t, http.StatusOK, status(known), "a key that is known is accepted")
	got, err := service.GetReadinessWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode())
	got2, err := service.ListJobsWithResponse(t.Context(), nil, func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Forwarded-For", "192.0.2.77")
		r.Header.Set("Authorization", "Bearer "+sample)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusTooManyRequests, got2.StatusCode(), "an address that the sender makes up does not help")
}
