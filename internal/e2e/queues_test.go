package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// listQueues reads a page of the queues.
func (i instance) listQueues(t require.TestingT, params client.ListQueuesParams) client.QueuePage {
	got, err := i.ListQueuesWithResponse(context.Background(), &params)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
	return *got.JSON200
}

// queueNames returns the names of all queues, page by page.
func (i instance) queueNames(t *testing.T, limit client.Limit) (names []string) {
	t.Helper()
	params := client.ListQueuesParams{Limit: &limit}
	for {
		page := i.listQueues(t, params)
		require.LessOrEqual(t, len(page.Items), int(limit))
		for _, queue := range page.Items {
			names = append(names, queue.Name)
		}
		if params.Cursor = page.NextCursor; params.Cursor == nil {
			return names
		}
	}
}

// A list of queues tells what waits, what is held, and who asks, over all instances.
func TestListQueues(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	one := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	other := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	require.Empty(t, one.queueNames(t, 10))

	started := one.runOf(t, "b")
	one.leaseOf(t, "a", 3)
	one.create(t, `{"name":"later","intervalInSeconds":3600,"target":{"type":"worker","queue":"c"}}`)
	one.create(t, `{"name":"none","intervalInSeconds":3600}`)
	team := one.in(t, one.namespace(t, client.NamespaceCreate{}).Name)
	team.runOf(t, "d")

	page := one.listQueues(t, client.ListQueuesParams{})
	require.Equal(t, []client.Queue{
		{Name: "a", Leased: 3},
		{Name: "b", Waiting: 1, OldestReadyAt: &started.ScheduledFor},
		{Name: "c"},
	}, page.Items)
	require.Nil(t, page.NextCursor)
	require.Equal(t, []string{"d"}, team.queueNames(t, 10), "a namespace sees its own queues")

	here := other.waitAtQueue(t, 2, `{"waitSeconds":30}`)
	there := team.waitAtQueue(t, 1, `{"waitSeconds":30}`)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		items := one.listQueues(t, client.ListQueuesParams{}).Items
		if assert.Len(t, items, 4) {
			assert.Equal(t, client.Queue{Name: "q", WorkersAsking: 2}, items[3])
		}
	}, 20*time.Second, 50*time.Millisecond, "workers that ask at another instance count")
	require.Equal(t, []string{"a", "b", "c", "q"}, one.queueNames(t, 1))
	require.Equal(t, []string{"a", "b", "c", "q"}, one.queueNames(t, 3))
	for range 2 {
		one.runOf(t, "q")
	}
	team.runOf(t, "q")
	require.NotNil(t, <-here)
	require.NotNil(t, <-here)
	require.NotNil(t, <-there)
}
