package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/cli"
	"punctual/internal/database"
	"punctual/internal/keys"
)

type keysCmd struct {
	Create createKey `cmd:"" help:"Create an API key and print it. It cannot be shown again."`
	List   listKeys  `cmd:"" help:"List keys, newest first, without their secrets."`
	Revoke revokeKey `cmd:"" help:"Revoke a key. All instances refuse it within a second."`
}

// Help says where keys come from.
func (keysCmd) Help() string {
	return "With --database-url, DATABASE_URL or --embedded, keys are read and written straight in the database. " +
		"The first key is made like this, because no key is needed. Otherwise, and with --url, --key or --profile, the service is asked."
}

// keyStore is where keys are: in a database, or behind a service.
type keyStore struct {
	Database    app.DatabaseConfig `embed:""`
	cli.Globals `embed:""`
}

// namespace returns the namespace of the keys in a database.
func (s *keyStore) namespace() string { return cmp.Or(s.Namespace, access.DefaultNamespace) }

// isService reports whether the service is asked, and not a database.
func (s *keyStore) isService() bool {
	hasDatabase := s.Database.URL != "" || s.Database.Embedded
	return !hasDatabase || s.URL != "" || s.Key != "" || s.Profile != ""
}

// use calls do with the service that changes keys, and with who calls it.
func (s *keyStore) use(
	ctx context.Context, log *slog.Logger, do func(*keys.Service, access.Caller, *db.Queries) error,
) (err error) {
	if s.Output != "table" {
		return errors.New("--output is only for keys that a service is asked for; --url names one")
	}
	server, err := app.OpenDatabase(ctx, s.Database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	var pool *pgxpool.Pool
	if pool, err = database.Open(ctx, server.URL); err != nil {
		return err
	}
	defer pool.Close()
	q := db.New(pool)
	if err := database.Check(ctx, q); errors.Is(err, database.ErrOldSchema) {
		return fmt.Errorf("run `punctual migrate up`, or start the service once: %w", err)
	} else if err != nil {
		return fmt.Errorf("the database is not ready for keys: %w", err)
	}
	err = do(keys.New(keys.Config{Pool: pool}), access.Command(s.namespace()), q)
	if errors.Is(err, access.ErrNoNamespace) {
		return fmt.Errorf("namespace %q: %w", s.namespace(), err)
	}
	return err
}

type createKey struct {
	keyStore    `embed:""`
	ServiceWide bool           `help:"Create a key for all namespaces. Each of its requests names one by the header Punctual-Namespace, or is for the namespace 'default'."`
	Description string         `help:"Who uses the key and what for." default:"created by the command line"`
	Scopes      []access.Scope `help:"What the key may be used for: jobs:read, jobs:write, runs:write, connections:write, workers, metrics:read or admin. Default: all of it."`
	Queues      []string       `help:"The queues that the key serves as a worker. Default: all."`
	ExpiresIn   *time.Duration `help:"For how long the key can be used, such as 720h. Default: until it is revoked." placeholder:"DURATION"`
}

// Validate refuses flags that make no key that anybody could use. Kong calls it.
func (c *createKey) Validate() error {
	if c.ServiceWide && c.Namespace != "" {
		return errors.New("--service-wide and --namespace can't be used together")
	}
	if c.Scopes == nil {
		c.Scopes = access.Scopes
	}
	for _, scope := range c.Scopes {
		if !slices.Contains(access.Scopes, scope) {
			return fmt.Errorf("--scopes must be one of %q but got %q", access.Scopes, scope)
		}
	}
	if c.ExpiresIn != nil && *c.ExpiresIn <= 0 {
		return errors.New("--expires-in must be longer than 0")
	}
	// As the contract has them for the API.
	if !description.MatchString(c.Description) {
		return errors.New("--description must have 1 to 255 characters, and no control characters")
	}
	for _, queue := range c.Queues {
		if !queueName.MatchString(queue) {
			return fmt.Errorf("--queues: %q is not the name of a queue", queue)
		}
	}
	return nil
}

var (
	description = regexp.MustCompile(`^[^\x00-\x1F\x7F]{1,255}$`)
	queueName   = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)
)

// Run creates a key and prints nothing but the key, so that a script can store it.
func (c *createKey) Run(ctx context.Context, log *slog.Logger, console *cli.Console) error {
	if c.isService() {
		return c.ask(ctx, console)
	}
	return c.use(ctx, log, func(service *keys.Service, by access.Caller, q *db.Queries) error {
		request := keys.Request{
			Description: c.Description, Scopes: c.Scopes, Queues: c.Queues, IsServiceWide: c.ServiceWide,
		}
		if c.ExpiresIn != nil {
			now, err := q.DatabaseTime(ctx)
			if err != nil {
				return fmt.Errorf("read the database's time: %w", err)
			}
			request.ExpiresAt = new(now.Add(*c.ExpiresIn))
		}
		view, plain, err := service.Create(ctx, by, request)
		if err != nil {
			return err
		}
		log.InfoContext(ctx, "key created; it cannot be shown again", "id", view.ID, "namespace", namespaceOf(view),
			"scopes", strings.Join(view.Scopes, ","))
		_, err = fmt.Fprintln(os.Stdout, plain.Reveal())
		return err
	})
}

// ask creates a key over the API.
func (c *createKey) ask(ctx context.Context, console *cli.Console) error {
	service, err := c.ProvideSession(console)
	if err != nil {
		return err
	}
	request := cli.NewKey{Description: c.Description, Queues: c.Queues, IsServiceWide: c.ServiceWide}
	for _, scope := range c.Scopes {
		request.Scopes = append(request.Scopes, string(scope))
	}
	if c.ExpiresIn != nil {
		request.ExpiresAt = new(time.Now().Add(*c.ExpiresIn))
	}
	return service.CreateKey(ctx, request)
}

type listKeys struct {
	keyStore      `embed:""`
	cli.ListFlags `embed:""`
}

// listPage is how many keys are read at once.
const listPage = 100

// Run lists keys.
func (c *listKeys) Run(ctx context.Context, log *slog.Logger, console *cli.Console) error {
	if c.isService() {
		service, err := c.ProvideSession(console)
		if err != nil {
			return err
		}
		return service.ListKeys(ctx, c.ListFlags)
	}
	return c.use(ctx, log, func(service *keys.Service, by access.Caller, _ *db.Queries) error {
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(out, "ID\tNAMESPACE\tSTATUS\tSCOPES\tCREATED\tEXPIRES\tLAST USED\tDESCRIPTION")
		for after := (*keys.Place)(nil); ; {
			page, err := service.List(ctx, by, after, listPage)
			if err != nil {
				return err
			}
			for _, view := range page {
				fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", view.ID, namespaceOf(view), view.Status, strings.Join(view.Scopes, ","),
					timeOf(&view.CreatedAt), timeOf(view.ExpiresAt), timeOf(view.LastUsedAt), view.Description)
			}
			if len(page) < listPage {
				return out.Flush()
			}
			after = new(page[len(page)-1].Place())
		}
	})
}

// namespaceOf returns the namespace of a key for people: * stands for all.
func namespaceOf(view keys.View) string {
	if view.Namespace == nil {
		return "*"
	}
	return *view.Namespace
}

func timeOf(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

type revokeKey struct {
	keyStore `embed:""`
	ID       string `arg:"" help:"The id of the key: what stands between the two underscores of a key."`
}

// Run revokes a key.
func (c *revokeKey) Run(ctx context.Context, log *slog.Logger, console *cli.Console) error {
	if c.isService() {
		service, err := c.ProvideSession(console)
		if err != nil {
			return err
		}
		return service.RevokeKey(ctx, c.ID)
	}
	return c.use(ctx, log, func(service *keys.Service, by access.Caller, _ *db.Queries) error {
		err := service.Revoke(ctx, by, c.ID)
		if errors.Is(err, keys.ErrNotFound) {
			return fmt.Errorf("%w in the namespace %s: --namespace names another one", err, c.namespace())
		}
		if err != nil {
			return err
		}
		log.InfoContext(ctx, "key revoked", "id", c.ID)
		return nil
	})
}
