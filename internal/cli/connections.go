package cli

import (
	"context"
	"io"
	"net/http"
	"strings"

	"punctual/gen/client"
	"punctual/internal/jobfiles"
)

type connectionsCmd struct {
	List   listConnections   `cmd:"" help:"List connections."`
	Get    getConnections    `cmd:"" help:"Show connections with all their fields, but no secrets."`
	Apply  applyConnections  `cmd:"" help:"Make connections be as files say."`
	Delete deleteConnections `cmd:"" help:"Delete connections that no job uses."`
}

type listConnections struct {
	Globals   `embed:""`
	ListFlags `embed:""`
}

// Run lists connections.
func (c *listConnections) Run(ctx context.Context, s *Session) error {
	return connections.table.list(ctx, s, c.ListFlags, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.ListConnections(ctx, &client.ListConnectionsParams{Cursor: cursor, Limit: limit})
	})
}

var connections = keyed[client.Connection]{
	noun: "connection",
	table: table[client.Connection]{
		columns: []column[client.Connection]{
			{"Key", connectionName},
			{"State", func(c client.Connection) string { return string(c.State) }},
			{"Base URL", func(c client.Connection) string { return c.BaseUrl }},
			{"Auth", func(c client.Connection) string { return string(c.Auth.Type) }},
			{"Max concurrency", func(c client.Connection) string { return orNone(&c.MaxConcurrency) }},
			{"Max/s", func(c client.Connection) string { return orNone(c.MaxPerSecond) }},
			{"Secrets", func(c client.Connection) string { return strings.Join(c.Secrets, ",") }},
			{"Updated", func(c client.Connection) string { return when(&c.UpdatedAt) }},
		},
		name: connectionName,
	},
	definition: jobfiles.Definition.ConnectionJSON,
	get:        (*client.Client).GetConnection,
	set:        (*client.Client).UpdateConnectionWithBody,
	create: func(ctx context.Context, c *client.Client, body io.Reader) (*http.Response, error) {
		return c.CreateConnectionWithBody(ctx, nil, "application/json", body)
	},
	remove: (*client.Client).DeleteConnection,
}

func connectionName(c client.Connection) string { return c.Key }

type getConnections struct {
	Globals `embed:""`
	Keys    []string `arg:"" name:"key" help:"The keys of the connections."`
}

// Run shows connections.
func (c *getConnections) Run(ctx context.Context, s *Session) error {
	return connections.showAll(ctx, s, c.Keys)
}

type applyConnections struct {
	Globals `embed:""`
	Files   []string `name:"filename" short:"f" required:"" placeholder:"FILE|DIR|-" help:"Files or directories with connections in YAML or JSON. A dash is the standard input."`
}

// Run makes connections be as files say, one by one. Fields that a file does not have stay as they
// are.
func (c *applyConnections) Run(ctx context.Context, s *Session) error {
	return connections.applyFiles(ctx, s, c.Files)
}

type deleteConnections struct {
	Globals `embed:""`
	Keys    []string `arg:"" name:"key" help:"The keys of the connections."`
	Yes     bool     `short:"y" help:"Do not ask. Needed without a terminal."`
}

// Run deletes connections.
func (c *deleteConnections) Run(ctx context.Context, s *Session) error {
	return connections.deleteAll(ctx, s, c.Keys, c.Yes)
}
