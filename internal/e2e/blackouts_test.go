package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// TestBlackoutHoldsRuns: 14 seconds are longer than what is on time for every misfire policy.
func TestBlackoutHoldsRuns(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	until := time.Now().Add(14 * time.Second).Truncate(time.Microsecond)
	made, err := service.CreateNamespaceWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(fmt.Sprintf(
		`{"name":"frozen","blackouts":[{"from":"2020-01-01T00:00:00Z","to":%q,"reason":"a freeze"}]}`, until.Format(time.RFC3339Nano))))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, made.StatusCode(), "%s", made.Body)
	require.Len(t, made.JSON201.Blackouts, 1)
	require.Equal(t, "a freeze", *made.JSON201.Blackouts[0].Reason)

	frozen := service.in(t, "frozen")
	soon := time.Now().Add(time.Second).Format(`"` + time.RFC3339Nano + `"`)
	create := func(body string) uuid.UUID {
		got, err := frozen.CreateJobWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, got.StatusCode(), "%s", got.Body)
		return got.JSON201.Id
	}
	fires := create(`{"name":"fires","runAt":` + soon + `}`)
	skips := create(`{"name":"skips","runAt":` + soon + `,"misfirePolicy":"SKIP","catchupWindowSeconds":0}`)
	byHand := create(`{"name":"by hand","onDemand":true}`)
	queued := create(`{"name":"queued","runAt":` + soon + `,"target":{"type":"worker","queue":"q"}}`)
	started, err := frozen.RunJobWithResponse(t.Context(), byHand, nil, client.RunStart{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, started.StatusCode(), "%s", started.Body)

	leased, err := frozen.LeaseRunsWithResponse(t.Context(), "q", client.LeaseRequest{WaitSeconds: new(int32(5))})
	require.NoError(t, err)
	require.True(t, leased.JSON200 == nil || len(leased.JSON200.Runs) == 0, "a worker gets nothing: %s", leased.Body)

	ended := func(job uuid.UUID) (run client.Run) {
		require.Eventually(t, func() bool {
			got, err := frozen.ListJobRunsWithResponse(t.Context(), job, nil)
			require.NoError(t, err)
			if len(got.JSON200.Items) > 0 {
				run = got.JSON200.Items[0]
			}
			return run.FinishedAt != nil
		}, 40*time.Second, 100*time.Millisecond)
		return run
	}
	fired, hand, skipped := ended(fires), ended(byHand), ended(skips)
	require.Equal(t, client.RunStatusSUCCEEDED, fired.Status)
	require.EqualValues(t, 1, fired.Attempt, "the attempts that were put back do not count")
	require.False(t, fired.StartedAt.Before(until), "it was held: %s", fired.StartedAt)
	require.Equal(t, client.RunStatusSUCCEEDED, hand.Status)
	require.False(t, hand.StartedAt.Before(until), "a run by hand was held, too: %s", hand.StartedAt)
	require.Equal(t, client.RunStatusSKIPPED, skipped.Status)
	require.Equal(t, client.RunReasonMISFIRE, *skipped.Reason)

	require.Eventually(t, func() bool {
		leased, err = frozen.LeaseRunsWithResponse(t.Context(), "q", client.LeaseRequest{WaitSeconds: new(int32(5))})
		require.NoError(t, err)
		return leased.JSON200 != nil && len(leased.JSON200.Runs) == 1
	}, 40*time.Second, 100*time.Millisecond)
	require.Equal(t, queued, leased.JSON200.Runs[0].JobId)
}

func TestBlackoutHasToEndAfterItBegins(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	got, err := service.CreateNamespaceWithBodyWithResponse(t.Context(), nil, "application/json",
		strings.NewReader(`{"name":"x","blackouts":[{"from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}]}`))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, got.StatusCode())
	require.Equal(t, "blackouts.0.to", (*got.ApplicationproblemJSON400.Errors)[0].Field)
}
