package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
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
	return connectionTable.list(ctx, s, c.ListFlags, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.ListConnections(ctx, &client.ListConnectionsParams{Cursor: cursor, Limit: limit})
	})
}

var connectionTable = table[client.Connection]{
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
}

func connectionName(c client.Connection) string { return c.Key }

type getConnections struct {
	Globals `embed:""`
	Keys    []string `arg:"" name:"key" help:"The keys of the connections."`
}

// Run shows connections.
func (c *getConnections) Run(ctx context.Context, s *Session) error {
	var all []client.Connection
	for _, key := range c.Keys {
		connection, err := answer[client.Connection](s.GetConnection(ctx, key))
		if err != nil {
			return err
		}
		all = append(all, connection)
	}
	return connectionTable.show(s, all)
}

type applyConnections struct {
	Globals `embed:""`
	Files   []string `name:"filename" short:"f" required:"" placeholder:"FILE|DIR|-" help:"Files or directories with connections in YAML or JSON. A dash is the standard input."`
}

// Run makes connections be as files say, one by one. Fields that a file does not have stay as they
// are.
func (c *applyConnections) Run(ctx context.Context, s *Session) error {
	definitions, err := jobfiles.Read(c.Files, s.In)
	if err != nil {
		return err
	}
	var faults []error
	bodies := make([]map[string]json.RawMessage, len(definitions))
	for i, definition := range definitions {
		text, err := definition.ConnectionJSON(os.LookupEnv)
		if err == nil {
			err = json.Unmarshal(text, &bodies[i])
		}
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for i, body := range bodies {
		if err := s.applyConnection(ctx, definitions[i].Key, body); err != nil {
			return err
		}
	}
	return nil
}

// applyConnection changes a connection, or creates it if there is none with its key.
func (s *Session) applyConnection(ctx context.Context, key string, fields map[string]json.RawMessage) error {
	whole, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	if key == "" {
		return usage("a connection has no key")
	}
	delete(fields, "key")
	change, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	changed, err := s.UpdateConnectionWithBody(ctx, key, "application/json", bytes.NewReader(change))
	if err == nil && changed.StatusCode == http.StatusNotFound {
		_ = changed.Body.Close()
		if err := done(s.CreateConnectionWithBody(ctx, nil, "application/json", bytes.NewReader(whole))); err != nil {
			return err
		}
		return s.say("Created: the connection %s.", key)
	}
	if err := done(changed, err); err != nil {
		return err
	}
	return s.say("Applied: the connection %s.", key)
}

type deleteConnections struct {
	Globals `embed:""`
	Keys    []string `arg:"" name:"key" help:"The keys of the connections."`
	Yes     bool     `short:"y" help:"Do not ask. Needed without a terminal."`
}

// Run deletes connections.
func (c *deleteConnections) Run(ctx context.Context, s *Session) error {
	if !c.Yes {
		if err := s.confirm(ctx, "delete "+count(len(c.Keys), "connection")); err != nil {
			return err
		}
	}
	for _, key := range c.Keys {
		if err := done(s.DeleteConnection(ctx, key)); err != nil {
			return err
		}
		if err := s.say("Deleted: the connection %s.", key); err != nil {
			return err
		}
	}
	return nil
}
