package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// report sends reports about a lease, and returns what became of each.
func (i instance) report(t *testing.T, lease uuid.UUID, reports ...client.RunReport) []client.RunReportResult {
	t.Helper()
	got, err := i.CompleteRunsWithResponse(t.Context(), lease, client.RunReports{Reports: reports})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
	require.Len(t, got.JSON200.Results, len(reports))
	return got.JSON200.Results
}

// requireRefused requires that a report is refused with a code.
func requireRefused(t *testing.T, code string, got client.RunReportResult) {
	t.Helper()
	require.Equal(t, client.ReportOutcomeREFUSED, got.Result)
	require.Equal(t, code, *got.Code)
	require.NotEmpty(t, *got.Detail)
}

func reportOf(run client.LeasedRun) client.RunReport {
	return client.RunReport{RunId: run.Id.String(), Token: run.Token}
}

// One request reports successes and failures, and each of them counts by itself.
func TestReportsOfALease(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	lease := service.leaseOf(t, "q", 4)
	good, bad, final := lease.Runs[0], lease.Runs[1], lease.Runs[2]
	failed := reportOf(bad)
	failed.Error = new("no luck")
	ended := reportOf(final)
	ended.Error, ended.Retryable = new("no hope"), new(false)
	wrong := reportOf(lease.Runs[3])
	wrong.Token++
	got := service.report(t, lease.Id, client.RunReport{RunId: good.Id.String(), Token: good.Token, Output: new("42")}, failed,
		reportOf(good), wrong, ended, client.RunReport{RunId: "none", Token: 1})
	for _, at := range []int{0, 1, 4} {
		require.Equal(t, client.ReportOutcomeRECORDED, got[at].Result, "report %d", at)
		require.Nil(t, got[at].Code)
	}
	requireRefused(t, "stale-token", got[2])
	requireRefused(t, "stale-token", got[3])
	requireRefused(t, "run-not-found", got[5])
	require.Equal(t, "none", got[5].RunId)

	require.Equal(t, "42", service.readRun(t, good.Id).Result.Output)
	require.Equal(t, client.RunStatusFAILED, service.readRun(t, final.Id).Status)
	require.Equal(t, 1, count(t, pool, `select count(*) from leases`), "a run is left under it")
	require.Equal(t, client.ReportOutcomeRECORDED, service.report(t, lease.Id, reportOf(lease.Runs[3]))[0].Result)
	require.Zero(t, count(t, pool, `select count(*) from leases`), "nothing is left under it")
}

// A report is refused if the run was leased with another lease, and if another namespace sends it.
func TestReportsOfAnotherLease(t *testing.T) {
	t.Parallel()
	blue, red, _ := twoNamespaces(t)
	mine, other := blue.leaseOf(t, "q", 1), blue.leaseOf(t, "other", 1)
	requireRefused(t, "stale-token", blue.report(t, other.Id, reportOf(mine.Runs[0]))[0])
	requireRefused(t, "run-not-found", red.report(t, mine.Id, reportOf(mine.Runs[0]))[0])
	require.Equal(t, client.ReportOutcomeRECORDED, blue.report(t, mine.Id, reportOf(mine.Runs[0]))[0].Result)
}

// A report is repaired where it can be, and refused alone where it cannot.
func TestReportsAreRepaired(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	lease := service.leaseOf(t, "q", 2)
	one, two := reportOf(lease.Runs[0]), reportOf(lease.Runs[1])
	body := strings.NewReplacer("ONE", one.RunId, "TWO", two.RunId, "TOKEN", strconv.FormatInt(one.Token, 10)).Replace(
		`{"more":1,"reports":[null,{"runId":"ONE","token":TOKEN,"output":{"sum":42}},7,{"runId":"TWO"},
			{"runId":"TWO","token":TOKEN,"error":"a\u0000b","retryAfterSeconds":"soon","retryable":0}]}`)
	got, err := service.CompleteRunsWithBodyWithResponse(t.Context(), lease.Id, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
	results := got.JSON200.Results
	requireRefused(t, "run-not-found", results[0])
	requireRefused(t, "run-not-found", results[2])
	requireRefused(t, "stale-token", results[3])
	require.Equal(t, client.ReportOutcomeRECORDED, results[1].Result)
	require.Equal(t, client.ReportOutcomeRECORDED, results[4].Result)
	require.JSONEq(t, `{"sum":42}`, service.readRun(t, lease.Runs[0].Id).Result.Output)
}
