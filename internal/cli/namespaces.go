package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"punctual/gen/client"
)

// Namespaces are the commands about namespaces that ask a service.
type Namespaces struct {
	List    listNamespaces   `cmd:"" help:"List namespaces."`
	Get     getNamespaces    `cmd:"" help:"Show namespaces with all their fields."`
	Create  createNamespace  `cmd:"" help:"Create a namespace."`
	Update  updateNamespace  `cmd:"" help:"Change the description or the limits of a namespace."`
	Suspend suspendNamespace `cmd:"" help:"Suspend a namespace: nothing new begins in it, and its jobs pause."`
	Resume  resumeNamespace  `cmd:"" help:"Let a suspended namespace go on."`
	Delete  deleteNamespace  `cmd:"" help:"Delete a namespace with all that it has."`
}

type listNamespaces struct {
	Globals   `embed:""`
	ListFlags `embed:""`
}

// Run lists namespaces.
func (c *listNamespaces) Run(ctx context.Context, s *Session) error {
	return namespaceTable.list(ctx, s, c.ListFlags, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.ListNamespaces(ctx, &client.ListNamespacesParams{Cursor: cursor, Limit: limit})
	})
}

var namespaceTable = table[client.Namespace]{
	columns: []column[client.Namespace]{
		{"Name", namespaceName},
		{"Suspended", func(n client.Namespace) string { return when(n.SuspendedAt) }},
		{"Max jobs", func(n client.Namespace) string { return orNone(n.MaxJobs) }},
		{"Min interval seconds", func(n client.Namespace) string { return orNone(n.MinIntervalSeconds) }},
		{"Requests/s", func(n client.Namespace) string { return orNone(n.RequestsPerSecond) }},
		{"Runs kept days", func(n client.Namespace) string { return orNone(n.RunRetentionDays) }},
		{"Created", func(n client.Namespace) string { return when(&n.CreatedAt) }},
		{"Cell", func(n client.Namespace) string { return n.Cell }},
		{"Description", func(n client.Namespace) string { return n.Description }},
	},
	name: namespaceName,
}

func namespaceName(n client.Namespace) string { return n.Name }

// orNone shows a limit.
func orNone[T ~int32 | ~int64](limit *T) string {
	if limit == nil {
		return "none"
	}
	return strconv.FormatInt(int64(*limit), 10)
}

type getNamespaces struct {
	Globals `embed:""`
	Names   []string `arg:"" name:"name" help:"The names of the namespaces."`
}

// Run shows namespaces.
func (c *getNamespaces) Run(ctx context.Context, s *Session) error {
	var all []client.Namespace
	for _, name := range c.Names {
		namespace, err := answer[client.Namespace](s.GetNamespace(ctx, name))
		if err != nil {
			return err
		}
		all = append(all, namespace)
	}
	return namespaceTable.show(s, all)
}

// namespaceFields are what can be said about a namespace. A limit of none takes the limit away.
type namespaceFields struct {
	Description        *string `placeholder:"TEXT" help:"What the namespace is for."`
	MaxJobs            *limit  `placeholder:"N" help:"How many jobs it may have; none: no limit of its own."`
	MinIntervalSeconds *limit  `placeholder:"N" help:"The least number of seconds between two occurrences of a job; none: no limit of its own."`
	RequestsPerSecond  *limit  `placeholder:"N" help:"How many requests a second it may make; none: no limit of its own."`
	RunRetentionDays   *limit  `placeholder:"N" help:"For how many days its runs are kept; none: as the service is configured."`
}

// limit is a number, or none.
type limit struct{ n *int64 }

// UnmarshalText reads it.
func (l *limit) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 32)
	l.n = &n
	if err != nil {
		return fmt.Errorf("%q is neither a number nor 'none'", text)
	}
	return nil
}

// fields returns what was given, by the names that the contract has. The generated types cannot
// express null, which takes a limit away.
func (f namespaceFields) fields() map[string]any {
	out := map[string]any{}
	if f.Description != nil {
		out["description"] = *f.Description
	}
	for name, value := range map[string]*limit{
		"maxJobs": f.MaxJobs, "minIntervalSeconds": f.MinIntervalSeconds,
		"requestsPerSecond": f.RequestsPerSecond, "runRetentionDays": f.RunRetentionDays,
	} {
		if value != nil {
			out[name] = value.n
		}
	}
	return out
}

type createNamespace struct {
	Globals         `embed:""`
	namespaceFields `embed:""`
	Cell            string `placeholder:"NAME" help:"The cell in which it is to be. Default: the one with the fewest jobs."`
	Name            string `arg:"" help:"The name of the namespace."`
}

// Run creates a namespace.
func (c *createNamespace) Run(ctx context.Context, s *Session) error {
	fields := c.fields()
	fields["name"] = c.Name
	if c.Cell != "" {
		fields["cell"] = c.Cell
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	created, err := answer[client.Namespace](s.CreateNamespaceWithBody(ctx, nil, "application/json", bytes.NewReader(body)))
	if err != nil {
		return err
	}
	return namespaceTable.show(s, []client.Namespace{created})
}

type updateNamespace struct {
	Globals         `embed:""`
	namespaceFields `embed:""`
	Name            string `arg:"" help:"The name of the namespace."`
}

// Run changes a namespace.
func (c *updateNamespace) Run(ctx context.Context, s *Session) error {
	fields := c.fields()
	if len(fields) == 0 {
		return usage("say what changes, such as --max-jobs 500")
	}
	return s.changeNamespace(ctx, c.Name, fields)
}

func (s *Session) changeNamespace(ctx context.Context, name string, fields map[string]any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	changed, err := answer[client.Namespace](s.UpdateNamespaceWithBody(ctx, name, "application/json", bytes.NewReader(body)))
	if err != nil {
		return err
	}
	return namespaceTable.show(s, []client.Namespace{changed})
}

type suspendNamespace struct {
	Globals `embed:""`
	Name    string `arg:"" help:"The name of the namespace."`
}

// Run suspends a namespace.
func (c *suspendNamespace) Run(ctx context.Context, s *Session) error {
	return s.changeNamespace(ctx, c.Name, map[string]any{"suspended": true})
}

type resumeNamespace struct {
	Globals `embed:""`
	Name    string `arg:"" help:"The name of the namespace."`
}

// Run lets a namespace go on.
func (c *resumeNamespace) Run(ctx context.Context, s *Session) error {
	return s.changeNamespace(ctx, c.Name, map[string]any{"suspended": false})
}

type deleteNamespace struct {
	Globals `embed:""`
	Name    string `arg:"" help:"The name of the namespace."`
	Yes     bool   `short:"y" help:"Do not ask. Needed without a terminal."`
}

// Run deletes a namespace.
func (c *deleteNamespace) Run(ctx context.Context, s *Session) error {
	if !c.Yes {
		if err := s.confirm(ctx, "delete the namespace "+c.Name+" with all its jobs, runs and keys"); err != nil {
			return err
		}
	}
	if err := done(s.DeleteNamespace(ctx, c.Name)); err != nil {
		return err
	}
	return s.say("Deleted: the namespace %s.", c.Name)
}
