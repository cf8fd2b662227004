package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// definitions are many definitions of jobs, by number.
func definitions(n int) []client.JobCreate {
	list := make([]client.JobCreate, n)
	for i := range list {
		list[i] = client.JobCreate{
			Key: new(fmt.Sprintf("team/job-%03d", i)), Name: fmt.Sprintf("Job %d", i), Cron: new("0 9 * * MON-FRI"),
			TimeZone: new("Europe/Berlin"), Labels: &client.Labels{"team": "payments"}, Payload: json.RawMessage(fmt.Sprintf(`{"n": %d}`, i)),
		}
	}
	return list
}

// apply applies definitions, and returns what became of the jobs.
func (i instance) apply(t *testing.T, list client.JobApply) client.JobsApplied {
	t.Helper()
	got, err := i.ApplyJobsWithResponse(t.Context(), nil, list)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "applied: %s", got.Body)
	return *got.JSON200
}

// counts returns how many jobs were created, changed, left and pruned.
func counts(a client.JobsApplied) [4]int32 {
	return [4]int32{a.Created, a.Changed, a.Unchanged, a.Pruned}
}

func TestADirectoryOfDefinitions(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	list := client.JobApply{Definitions: definitions(300)}
	require.Equal(t, [4]int32{300, 0, 0, 0}, counts(service.apply(t, list)))
	require.Equal(t, [4]int32{0, 0, 300, 0}, counts(service.apply(t, list)))

	list.Definitions[7].Cron = new("30 9 * * MON-FRI")
	list.DryRun = new(true)
	planned := service.apply(t, list)
	require.Equal(t, [4]int32{0, 1, 299, 0}, counts(planned))
	require.True(t, planned.DryRun)
	list.DryRun = nil
	done := service.apply(t, list)
	require.Equal(t, planned.Items, done.Items)
	require.Equal(t, "team/job-007", done.Items[7].Key)
	require.Equal(t, []client.FieldChange{{Field: "cron", From: json.RawMessage(`"0 9 * * MON-FRI"`), To: json.RawMessage(`"30 9 * * MON-FRI"`)}},
		done.Items[7].Fields)
	require.Equal(t, 300, count(t, pool, "select count(*) from due"))

	broken := client.JobApply{Definitions: definitions(300)}
	for i := range broken.Definitions {
		broken.Definitions[i].Key = new(fmt.Sprintf("broken/%d", i))
	}
	broken.Definitions[298].Cron = new("nonsense")
	broken.Definitions[299].Key = nil
	refused, err := service.ApplyJobsWithResponse(t.Context(), nil, broken)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, refused.StatusCode())
	require.Equal(t, "definitions.299.key", (*refused.ApplicationproblemJSON400.Errors)[0].Field)
	broken.Definitions[299].Key = new("broken/299")
	refused, err = service.ApplyJobsWithResponse(t.Context(), nil, broken)
	require.NoError(t, err)
	require.Equal(t, "definitions.298.cron", (*refused.ApplicationproblemJSON400.Errors)[0].Field)
	require.Equal(t, 300, count(t, pool, "select count(*) from jobs"), "nothing half done")
	require.Equal(t, 300, count(t, pool, "select count(*) from due"))
	require.Equal(t, 301, count(t, pool, "select count(*) from audit where operation = 'applyJobs'"))
}

func TestTwoPipelinesApplyAtOnce(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	pool := connect(t, url)
	services := []instance{
		start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}),
		start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}),
	}
	var mu sync.Mutex
	var created, changed int32
	for round := range 3 {
		var group errgroup.Group
		for i, service := range services {
			group.Go(func() error {
				list := definitions(150)[i*50 : i*50+100]
				for n := range list {
					list[n].Name = fmt.Sprint("round ", round)
				}
				got, err := service.ApplyJobsWithResponse(t.Context(), nil, client.JobApply{Definitions: list})
				if err != nil || got.StatusCode() != http.StatusOK {
					return fmt.Errorf("applied: %s, %w", got.Body, err)
				}
				mu.Lock()
				defer mu.Unlock()
				created, changed = created+got.JSON200.Created, changed+got.JSON200.Changed
				return nil
			})
		}
		require.NoError(t, group.Wait())
	}
	require.EqualValues(t, 150, created)
	require.EqualValues(t, 300, changed)
	require.Equal(t, 150, count(t, pool, "select count(*) from jobs where version = 3"))
	require.Equal(t, 150, count(t, pool, "select count(*) from due"))
}

func TestAListIsAppliedWhileItsJobsRun(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	pool := connect(t, url)
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: url}})
	list := client.JobApply{Definitions: definitions(50)}
	for i := range list.Definitions {
		list.Definitions[i].Cron, list.Definitions[i].TimeZone, list.Definitions[i].IntervalInSeconds = nil, nil, new(int64(1))
	}
	service.apply(t, list)
	for round := range 20 {
		for i := range list.Definitions {
			list.Definitions[i].IntervalInSeconds = new(int64(1 + round%2))
		}
		want := int32(0)
		if round > 0 {
			want = 50
		}
		require.Equal(t, want, service.apply(t, list).Changed, "round %d", round)
	}
	require.Equal(t, 50, count(t, pool, "select count(*) from due where carries_schedule"))
	require.Equal(t, 50, count(t, pool, "select count(*) from jobs where version = 20 and status = 'ACTIVE'"))
}

func TestJobsByKey(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	const key = "team/a.b_c-d/1"
	body := client.JobCreate{Name: "n", IntervalInSeconds: new(int64(60)), Payload: json.RawMessage(`1`)}
	created, err := service.PutJobByKeyWithResponse(t.Context(), key, nil, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body)
	require.Equal(t, "/api/v1/jobs/"+created.JSON201.Id.String(), created.HTTPResponse.Header.Get("Location"))
	require.Equal(t, `"1"`, created.HTTPResponse.Header.Get("ETag"))

	got, err := service.GetJobByKeyWithResponse(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
	require.Equal(t, *created.JSON201, *got.JSON200)

	same, err := service.PutJobByKeyWithResponse(t.Context(), key, nil, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, same.StatusCode())
	require.Equal(t, *created.JSON201, *same.JSON200)

	refused, err := service.PutJobByKeyWithResponse(t.Context(), key, &client.PutJobByKeyParams{IfNoneMatch: new(client.PutJobByKeyParamsIfNoneMatch("*"))}, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusPreconditionFailed, refused.StatusCode())
	require.Equal(t, "job-exists", refused.ApplicationproblemJSON412.Code)
	require.Equal(t, `"1"`, refused.HTTPResponse.Header.Get("ETag"))
	refused, err = service.PutJobByKeyWithResponse(t.Context(), "other", &client.PutJobByKeyParams{IfMatch: new(`*`)}, body)
	require.NoError(t, err)
	require.Equal(t, "version-changed", refused.ApplicationproblemJSON412.Code)
	require.Empty(t, refused.HTTPResponse.Header.Get("ETag"))

	taken, err := service.CreateJobWithResponse(t.Context(), nil, client.JobCreate{Key: new(key), Name: "n", IntervalInSeconds: new(int64(60))})
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, taken.StatusCode())
	require.Equal(t, "job-key-exists", taken.ApplicationproblemJSON409.Code)
	require.Equal(t, "key", (*taken.ApplicationproblemJSON409.Errors)[0].Field)

	gone, err := service.DeleteJobByKeyWithResponse(t.Context(), key, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode())
	got, err = service.GetJobByKeyWithResponse(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, "job-not-found", got.ApplicationproblemJSON404.Code)

	for path, status := range map[string]int{
		"team%2Fa": http.StatusNotFound, "team%252Fa": http.StatusBadRequest, "A": http.StatusBadRequest, "team/a": http.StatusNotFound,
		"%2f": http.StatusBadRequest, "": http.StatusNotFound,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.url+"/api/v1/jobs/by-key/"+path, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode, path)
	}
}

func TestManyJobsAreCreatedAtOnce(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	list := definitions(1000)
	for i := range list {
		list[i].Payload = json.RawMessage(`"` + strings.Repeat("x", 10_000) + `"`) // together far more than 1 MiB
		if i > 0 {
			list[i].Key = nil
		}
	}
	created, err := service.CreateJobsWithResponse(t.Context(), nil, client.JobBatch{Jobs: list})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body)
	require.Len(t, created.JSON201.Items, 1000)
	job := service.getJob(t, created.JSON201.Items[999].Id)
	require.Equal(t, "Job 999", job.Name, "in the order of the request")
	require.Equal(t, job.NextRunAt.UTC(), created.JSON201.Items[999].NextRunAt.UTC())

	again, err := service.CreateJobsWithResponse(t.Context(), nil, client.JobBatch{Jobs: list})
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, again.StatusCode())
	require.Equal(t, "jobs.0.key", (*again.ApplicationproblemJSON409.Errors)[0].Field)
	require.Equal(t, 1000, count(t, pool, "select count(*) from jobs"), "all or none")
	require.Equal(t, 1000, count(t, pool, "select count(*) from audit"))
}
