package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/cells"
	"punctual/internal/database"
	"punctual/internal/namespaces"
	"punctual/internal/testdb"
)

// createNamespaceIn creates a namespace in a cell.
func (i instance) createNamespaceIn(t *testing.T, name, cell string) client.Namespace {
	t.Helper()
	created, err := i.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: name, Cell: &cell})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	return *created.JSON201
}

// A cell that is added while instances run has everything that the first one has: its jobs are
// executed, by instances and by workers, its keys are valid, and nothing of it is in another cell.
func TestCells(t *testing.T) {
	t.Parallel()
	testdb.NotOnCitus(t, "the first cell is to be public")
	url := testdb.New(t)
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: url}})
	require.NoError(t, cells.Add(t.Context(), url, "second", discard))
	require.NoError(t, cells.Add(t.Context(), url, "second", discard), "it is safe to repeat")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		created, err := service.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: "team", Cell: new("second")})
		require.NoError(c, err)
		require.Equal(c, http.StatusCreated, created.StatusCode(), "%s", created.Body)
	}, 10*time.Second, 100*time.Millisecond)
	team := service.in(t, "team")
	var job client.Job
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		created, err := team.CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: "a", IntervalInSeconds: new(int64(1))})
		require.NoError(c, err)
		require.Equal(c, http.StatusCreated, created.StatusCode(), "%s", created.Body)
		job = *created.JSON201
	}, 10*time.Second, 100*time.Millisecond, "the instance opens the cell")
	require.Eventually(t, func() bool { return len(team.listRuns(t, job.Id)) > 1 }, 10*time.Second, 100*time.Millisecond)

	db := connect(t, url)
	require.Zero(t, count(t, db, "select count(*) from public.jobs"))
	require.Equal(t, 1, count(t, db, "select count(*) from second.jobs"))
	require.Zero(t, count(t, db, "select count(*) from public.runs"))
	got, err := service.GetJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, got.StatusCode(), "it is in another namespace")

	listed, err := service.ListNamespacesWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"default public", "team second"}, namesAndCells(listed.JSON200.Items))
	for _, name := range []string{"team", "default"} {
		again, err := service.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: name, Cell: new("second")})
		require.NoError(t, err)
		require.Equal(t, http.StatusConflict, again.StatusCode(), "%s: %s", name, again.Body)
	}
	unknown, err := service.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: "x", Cell: new("nowhere")})
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, unknown.StatusCode(), "%s", unknown.Body)

	worked := team.create(t, `{"name":"of a worker","onDemand":true,"target":{"type":"worker","queue":"mail"}}`)
	leased := make(chan *client.LeaseRunsResponse, 1)
	go func() {
		answer, err := team.LeaseRunsWithResponse(t.Context(), "mail", client.LeaseRequest{WaitSeconds: new(int32(20))})
		assert.NoError(t, err)
		leased <- answer
	}()
	run, err := team.RunJobWithResponse(t.Context(), worked.Id, nil, client.RunJobJSONRequestBody{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, run.StatusCode(), "%s", run.Body)
	answer := <-leased
	require.Equal(t, http.StatusOK, answer.StatusCode(), "%s", answer.Body)
	require.Len(t, answer.JSON200.Runs, 1)
}

func namesAndCells(all []client.Namespace) (names []string) {
	for _, n := range all {
		names = append(names, n.Name+" "+n.Cell)
	}
	slices.Sort(names)
	return names
}

// A namespace that is moved has all that it had, and goes on.
func TestMoveNamespace(t *testing.T) {
	t.Parallel()
	testdb.NotOnCitus(t, "the first cell is to be public")
	url := testdb.New(t)
	require.NoError(t, database.Migrate(t.Context(), url, discard))
	require.NoError(t, cells.Add(t.Context(), url, "second", discard))
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: url}})
	service.createNamespaceIn(t, "team", "public")
	team := service.in(t, "team")
	job := team.create(t, `{"name":"a","key":"a","intervalInSeconds":1,"labels":{"of":"team"}}`)
	require.Eventually(t, func() bool { return len(team.listRuns(t, job.Id)) > 1 }, 10*time.Second, 100*time.Millisecond)
	before := team.listRuns(t, job.Id)

	conn, err := database.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(t.Context())) })
	mover := cells.Mover{Conn: conn, Within: time.Minute, Free: namespaces.FreeMoved}
	moved, err := mover.Move(t.Context(), access.Command("team"), "team", "second")
	require.NoError(t, err)
	require.EqualValues(t, 1, moved)
	_, err = mover.Move(t.Context(), access.Command("team"), "team", "second")
	require.ErrorIs(t, err, cells.ErrThere)

	db := connect(t, url)
	for _, table := range []string{"jobs", "due", "runs", "job_versions", "run_stats"} {
		require.Zero(t, count(t, db, "select count(*) from public."+table), table)
	}
	require.Eventually(t, func() bool {
		got, err := team.GetJobWithResponse(t.Context(), job.Id)
		require.NoError(t, err)
		return got.StatusCode() == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond, "instances look for it there")
	require.Eventually(t, func() bool { return len(team.listRuns(t, job.Id)) > len(before)+2 }, 20*time.Second, 100*time.Millisecond)
	after := team.listRuns(t, job.Id)
	slices.Reverse(after)
	for n := 1; n < len(after); n++ {
		require.Equal(t, time.Second, after[n].ScheduledFor.Sub(after[n-1].ScheduledFor), "no occurrence is lost or doubled")
	}
	updated := team.updateJob(t, job.Id, client.JobUpdate{Name: new("b")})
	require.Equal(t, "b", updated.Name)
	require.Equal(t, []string{"updateJob", "moveNamespace", "createJob", "createNamespace"}, team.auditedOperations(t))

	// And back, to the first cell.
	_, err = mover.Move(t.Context(), access.Command("team"), "team", cells.First)
	require.NoError(t, err)
	require.Equal(t, 1, count(t, db, "select count(*) from public.jobs"))
	require.Zero(t, count(t, db, "select count(*) from second.jobs"))
}

// auditedOperations returns the operations in the audit of the namespace, newest first.
func (i instance) auditedOperations(t *testing.T) (operations []string) {
	t.Helper()
	audited, err := i.ListAuditWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, audited.StatusCode(), "%s", audited.Body)
	for _, entry := range audited.JSON200.Items {
		operations = append(operations, entry.Operation)
	}
	return operations
}
