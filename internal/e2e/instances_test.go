package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

func (i instance) listInstances(t require.TestingT) []client.Instance {
	got, err := i.ListInstancesWithResponse(context.Background())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
	return got.JSON200.Items
}

// Instances of all roles are listed while they are alive. One that stops is gone at once, and one
// that died when its lease has expired.
func TestListInstances(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	pool := connect(t, url)
	one := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	all := start(t, app.Config{Database: app.DatabaseConfig{URL: url}})
	poller := start(t, app.Config{Role: app.RolePoller, Database: app.DatabaseConfig{URL: url}})

	alive := one.listInstances(t)
	require.Len(t, alive, 3)
	roles := [][]client.InstanceRole{}
	for _, instance := range alive {
		roles = append(roles, instance.Roles)
		require.NotEqual(t, uuid.Nil, instance.Id)
		require.Equal(t, "(devel)", instance.Version)
		require.Regexp(t, `^.+/\d+$`, instance.Name)
		require.WithinDuration(t, time.Now(), instance.StartedAt, time.Minute)
		require.True(t, instance.LeaseExpiresAt.After(instance.StartedAt))
		require.Zero(t, instance.Executing)
	}
	require.Equal(t, [][]client.InstanceRole{
		{client.InstanceRoleAPI}, {client.InstanceRoleAPI, client.InstanceRolePOLLER}, {client.InstanceRolePOLLER},
	}, roles, "the oldest first")

	require.EventuallyWithT(t, func(t *assert.CollectT) {
		for i, instance := range one.listInstances(t) {
			assert.True(t, instance.LeaseExpiresAt.After(alive[i].LeaseExpiresAt), "each renews its lease")
			assert.Equal(t, alive[i].StartedAt, instance.StartedAt)
		}
	}, 20*time.Second, 50*time.Millisecond)

	require.NoError(t, poller.stop())
	require.Len(t, one.listInstances(t), 2, "one that stopped is gone at once")
	require.NoError(t, all.stop())
	_, err := pool.Exec(t.Context(), `insert into instances (id, name, version, roles, expires_at, executing, asked_queues, asking)
		select gen_random_uuid(), 'web-1/' || n, '1', '{API}', now() + make_interval(hours => n), 3, '{default/q}', '{7}'
		from unnest(array[-1, 1]) as n`)
	require.NoError(t, err)
	require.Len(t, one.listInstances(t), 2, "one that died is gone when its lease has expired")
	require.EqualValues(t, 7, one.listQueues(t, client.ListQueuesParams{}).Items[0].WorkersAsking, "nobody asks at a dead one")
}

// A list of instances tells how many runs each holds.
func TestListInstances_executing(t *testing.T) {
	t.Parallel()
	target, config, began, _ := hangs(t)
	service := start(t, config)
	job := service.create(t, `{"name":"slow","intervalInSeconds":3600,"target":`+target+`}`)
	run := service.startRun(t, job.Id, "")
	<-began
	executing := func(want int32) {
		t.Helper()
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			if alive := service.listInstances(t); assert.Len(t, alive, 1) {
				assert.Equal(t, want, alive[0].Executing)
			}
		}, 20*time.Second, 50*time.Millisecond)
	}
	executing(1)
	require.Equal(t, http.StatusAccepted, service.cancel(t, run.Id).StatusCode())
	executing(0)
}
