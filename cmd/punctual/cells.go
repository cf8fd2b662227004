package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/cells"
	"punctual/internal/cli"
	"punctual/internal/database"
	"punctual/internal/namespaces"
)

type cellsCmd struct {
	List listCells `cmd:"" help:"List the cells, with how many jobs they have."`
	Add  addCell   `cmd:"" help:"Add a cell. All instances work for it from then on."`
}

// Help says what a cell is for.
func (cellsCmd) Help() string {
	return "A cell has the jobs and runs of some namespaces. More cells are of use where each can have a machine of its own: see docs/scale.md."
}

type listCells struct {
	Database app.DatabaseConfig `embed:""`
}

// Run lists the cells.
func (c *listCells) Run(ctx context.Context, log *slog.Logger) error {
	return withDatabase(ctx, c.Database, log, func(server *app.Database) error {
		pool, err := database.Open(ctx, server.URL)
		if err != nil {
			return err
		}
		defer pool.Close()
		loads, err := cells.New(pool).Loads(ctx)
		if err != nil {
			return err
		}
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(out, "CELL\tJOBS (ESTIMATED)\tNAMESPACES PLACED")
		for _, load := range loads {
			fmt.Fprintf(out, "%s\t%d\t%d\n", load.Name, load.Jobs, load.Namespaces)
		}
		return out.Flush()
	})
}

// withDatabase calls do with a database that is open.
func withDatabase(ctx context.Context, c app.DatabaseConfig, log *slog.Logger, do func(*app.Database) error) (err error) {
	server, err := app.OpenDatabase(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	err = do(server)
	if errors.Is(err, database.ErrOldSchema) {
		return fmt.Errorf("run `punctual migrate up`, or start the service once: %w", err)
	}
	return err
}

type addCell struct {
	Database app.DatabaseConfig `embed:""`
	Name     string             `arg:"" help:"The name of the cell, and of its schema: lower-case letters, digits and underscores."`
}

// Run adds a cell.
func (c *addCell) Run(ctx context.Context, log *slog.Logger) error {
	return withDatabase(ctx, c.Database, log, func(server *app.Database) error {
		return cells.Add(ctx, server.Direct, c.Name, log)
	})
}

type namespacesCmd struct {
	cli.Namespaces `embed:""`

	Move moveNamespace `cmd:"" help:"Move a namespace to another cell, straight in the database."`
}

type moveNamespace struct {
	Database app.DatabaseConfig `embed:""`
	Name     string             `arg:"" help:"The name of the namespace."`
	To       string             `required:"" placeholder:"CELL" help:"The cell to move it to, as 'punctual cells list' names it."`
	Within   time.Duration      `default:"1m" help:"How long runs may take to end that have begun. If one takes longer, the namespace stays where it is."`
}

// Help says what happens meanwhile.
func (moveNamespace) Help() string {
	return "Meanwhile no run of the namespace starts, and requests that change something there are answered with 503. " +
		"Afterwards the runs that were due start. No occurrence is lost or doubled, even if this command is killed: " +
		"then the namespace goes on where it was after a minute."
}

// Run moves a namespace.
func (c *moveNamespace) Run(ctx context.Context, log *slog.Logger) error {
	return withDatabase(ctx, c.Database, log, func(server *app.Database) (err error) {
		conn, err := database.Connect(ctx, server.Direct)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
		to, err := cells.New(conn).ByName(ctx, c.To)
		if err != nil {
			return err
		}
		mover := cells.Mover{Conn: conn, Within: c.Within, Free: namespaces.FreeMoved}
		moved, err := mover.Move(ctx, access.Command(c.Name), c.Name, to)
		if err != nil {
			return fmt.Errorf("move the namespace %s: %w", c.Name, err)
		}
		log.InfoContext(ctx, "namespace moved", "namespace", c.Name, "cell", c.To, "jobs", moved)
		return nil
	})
}
