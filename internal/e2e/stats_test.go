package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

func (i instance) stats(t *testing.T, p client.GetStatsParams) client.Stats {
	t.Helper()
	got, err := i.GetStatsWithResponse(t.Context(), &p)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "counted: %s", got.Body)
	return *got.JSON200
}

// An instance adds what it has counted when it stops, and then others show it.
func TestStats(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	db := connect(t, url)
	config := app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}
	service := start(t, config)
	team := service.in(t, service.namespace(t, client.NamespaceCreate{}).Name)
	labeled := service.create(t, `{"name":"a","intervalInSeconds":3600,"labels":{"team":"payments","env":"prod"}}`)
	age(t, db, labeled.Id, 3600*time.Second+20*time.Second)
	plain := service.create(t, `{"name":"b","intervalInSeconds":3600}`)
	age(t, db, plain.Id, 3*3600*time.Second+20*time.Second) // two are missed, and stand for a misfire
	other := team.create(t, `{"name":"c","intervalInSeconds":3600,"labels":{"team":"payments"}}`)
	age(t, db, other.Id, 3600*time.Second)
	require.Equal(t, 3, service.pass(t))

	// A worker's runs, and those that a change ends.
	lease := service.leaseOf(t, "q", 2)
	done, err := service.CompleteRunWithResponse(t.Context(), lease.Runs[0].Id, client.RunCompletion{Token: lease.Runs[0].Token})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, done.StatusCode(), "completed: %s", done.Body)
	failed, err := service.FailRunWithResponse(t.Context(), lease.Runs[1].Id, client.RunFailure{
		Token: lease.Runs[1].Token, Error: "no", Retryable: new(false),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, failed.StatusCode(), "failed: %s", failed.Body)
	paused := service.create(t, `{"name":"p","intervalInSeconds":60,"labels":{"team":"payments"}}`)
	age(t, db, paused.Id, 150*time.Second)
	service.updateJob(t, paused.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
	require.Zero(t, service.stats(t, client.GetStatsParams{}).Totals.Succeeded, "nothing is added yet")
	require.NoError(t, service.stop())

	service = start(t, config)
	all := service.stats(t, client.GetStatsParams{})
	require.Equal(t, client.StatsStepMINUTE, all.Step)
	require.True(t, all.IsComplete)
	require.Len(t, all.Items, int(all.To.Sub(all.From)/time.Minute), "one item for each minute")
	var sum client.StatsTotals
	for i, item := range all.Items {
		require.True(t, item.StartsAt.Equal(all.From.Add(time.Duration(i)*time.Minute)))
		sum.Succeeded, sum.Failed, sum.Skipped = sum.Succeeded+item.Succeeded, sum.Failed+item.Failed, sum.Skipped+item.Skipped
	}
	require.Equal(t, []int64{2, 1, 4}, []int64{all.Totals.Succeeded, all.Totals.Failed, all.Totals.Skipped})
	require.Equal(t, []int64{2, 1, 4}, []int64{sum.Succeeded, sum.Failed, sum.Skipped})
	late := all.Totals.LatenessMilliseconds
	require.InEpsilon(t, 20_000, late.P50, 0.1, "backfilled runs are not late: %v", late)
	require.GreaterOrEqual(t, late.Max, late.P99)
	require.Less(t, all.Totals.DurationMilliseconds.P50, 60_000.0)

	hours := service.stats(t, client.GetStatsParams{Step: new(client.GetStatsParamsStepHOUR), Label: new("team=payments")})
	require.Equal(t, client.StatsStepHOUR, hours.Step)
	require.Len(t, hours.Items, int(hours.To.Sub(hours.From)/time.Hour))
	require.Equal(t, []int64{1, 0, 2}, []int64{hours.Totals.Succeeded, hours.Totals.Failed, hours.Totals.Skipped})
	ofWorkers := service.stats(t, client.GetStatsParams{TargetType: new(client.JobTargetTypeWorker)})
	require.Equal(t, []int64{1, 1, 0}, []int64{ofWorkers.Totals.Succeeded, ofWorkers.Totals.Failed, ofWorkers.Totals.Skipped})
	backfilled := service.stats(t, client.GetStatsParams{Trigger: &client.RunTriggers{client.RunTriggerBACKFILL}})
	require.EqualValues(t, 2, backfilled.Totals.Succeeded+backfilled.Totals.Failed)
	require.Nil(t, backfilled.Totals.LatenessMilliseconds)
	require.EqualValues(t, 1, service.in(t, other.Namespace).stats(t, client.GetStatsParams{}).Totals.Succeeded)
	require.Zero(t, service.stats(t, client.GetStatsParams{Label: new("team=other")}).Totals.Succeeded)

	at := func(ago time.Duration) *time.Time { return new(time.Now().Add(-ago)) }
	for why, p := range map[string]client.GetStatsParams{
		"conflicting":          {From: at(-time.Hour)},
		"too-large":            {From: at(100 * 24 * time.Hour)},
		"older-than-retention": {From: at(50 * time.Hour), To: at(49 * time.Hour), Step: new(client.GetStatsParamsStepMINUTE)},
	} {
		got, err := service.GetStatsWithResponse(t.Context(), &p)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, got.StatusCode(), why)
		require.Contains(t, string(got.Body), why)
	}
}
