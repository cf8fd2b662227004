package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An operation that has no body in the contract refuses one, like everything that it does not know.
func TestOperationsWithoutABodyRefuseOne(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"x","intervalInSeconds":3600}`)
	path := "/api/v1/jobs/" + job.Id.String()
	run := service.runOf(t, "nobody")
	for _, operation := range []string{"POST /api/v1/runs/" + run.Id.String() + "/cancel", "GET " + path, "DELETE " + path, "GET /api/v1/jobs"} {
		method, path, _ := strings.Cut(operation, " ")
		for body, want := range map[string]int{`{"nonsense":1}`: http.StatusBadRequest, ` `: http.StatusBadRequest} {
			request, err := http.NewRequestWithContext(t.Context(), method, service.url+path, strings.NewReader(body))
			require.NoError(t, err)
			answer, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, want, answer.StatusCode, "%s with %q", operation, body)
		}
	}
	require.Equal(t, 1, count(t, pool, `select count(*) from due where trigger = 'SCHEDULE' and job_id = $1`, job.Id), "nothing was started or deleted")
	service.startRun(t, job.Id, "")
}
