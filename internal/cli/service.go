package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"punctual/gen/client"
)

type listQueues struct {
	Globals   `embed:""`
	ListFlags `embed:""`
}

// Run lists queues.
func (c *listQueues) Run(ctx context.Context, s *Session) error {
	return queueTable.list(ctx, s, c.ListFlags, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.ListQueues(ctx, &client.ListQueuesParams{Cursor: cursor, Limit: limit})
	})
}

var queueTable = table[client.Queue]{
	columns: []column[client.Queue]{
		{"QUEUE", func(q client.Queue) string { return q.Name }},
		{"WAITING", func(q client.Queue) string { return counted(q.Waiting, q.WaitingIsCapped) }},
		{"OLDEST", func(q client.Queue) string { return when(q.OldestReadyAt) }},
		{"LEASED", func(q client.Queue) string { return strconv.Itoa(int(q.Leased)) }},
		{"WORKERS ASKING", func(q client.Queue) string { return strconv.Itoa(int(q.WorkersAsking)) }},
	},
	name: func(q client.Queue) string { return q.Name },
}

type listInstances struct {
	Globals `embed:""`
	Watch   bool `group:"output" short:"w" help:"List again every 2 seconds, until Ctrl-C."`
}

// Run lists instances.
func (c *listInstances) Run(ctx context.Context, s *Session) error {
	return instanceTable.list(ctx, s, ListFlags{Watch: c.Watch}, func(ctx context.Context, _ *client.Cursor, _ *client.Limit) (*http.Response, error) {
		return s.ListInstances(ctx)
	})
}

var instanceTable = table[client.Instance]{
	columns: []column[client.Instance]{
		{"INSTANCE", func(i client.Instance) string { return i.Name }},
		{"VERSION", func(i client.Instance) string { return i.Version }},
		{"ROLES", func(i client.Instance) string { return strings.Trim(fmt.Sprint(i.Roles), "[]") }},
		{"STARTED", func(i client.Instance) string { return when(&i.StartedAt) }},
		{"EXECUTING", func(i client.Instance) string { return strconv.Itoa(int(i.Executing)) }},
		{"LEASE UNTIL", func(i client.Instance) string { return when(&i.LeaseExpiresAt) }},
	},
	name: func(i client.Instance) string { return i.Id.String() },
}
