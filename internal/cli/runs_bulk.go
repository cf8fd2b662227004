package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"punctual/gen/client"
)

// manyRuns says which runs a command changes, by their ids or by filters.
type manyRuns struct {
	Globals     `embed:""`
	runFilter   `embed:""`
	changeFlags `embed:""`
	IDs         []uuid.UUID `arg:"" optional:"" name:"run" help:"The ids of runs."`
}

// do sends a bulk change, and prints what became of it.
func (m *manyRuns) do(ctx context.Context, s *Session, action client.RunBulkAction, past string) error {
	by, err := m.selector(ctx, s)
	if err != nil {
		return err
	}
	isFiltered := by != (client.RunSelector{})
	selectors := []client.RunSelector{by}
	switch {
	case len(m.IDs) == 0 && !isFiltered:
		return usage("name the runs, or select them, such as by --job or --status")
	case len(m.IDs) > 0:
		selectors = nil
		for ids := range slices.Chunk(m.IDs, maxNames) {
			part := by
			part.Ids = &ids
			selectors = append(selectors, part)
		}
	}
	b := bulk[client.BulkRun]{
		verb: strings.ToLower(string(action)), thing: "run", parts: len(selectors), isOne: len(m.IDs) == 1,
		step: func(ctx context.Context, part int, cursor *string, isDryRun bool) (outcome[client.BulkRun], error) {
			return answer[outcome[client.BulkRun]](s.ChangeRuns(ctx, nil, client.RunBulk{
				Action: action, Selector: selectors[part], Cursor: cursor, DryRun: &isDryRun,
			}))
		},
	}
	done, failed := b.run(ctx, s, m.changeFlags)
	if failed != nil && len(done.Items) == 0 {
		return failed
	}
	isChanged := func(r client.BulkRun) bool { return r.Result == client.BulkResultCHANGED }
	err = report(s, done, bulkRunTable, past, "run",
		func(r client.BulkRun) bool { return r.Result != client.BulkResultUNCHANGED }, isChanged)
	if failed != nil {
		return failed // what was done until then is printed
	}
	if err == nil && !isFiltered {
		var names []string
		for _, id := range m.IDs {
			names = append(names, id.String())
		}
		err = missing("run", names, func(name string) bool {
			return slices.ContainsFunc(done.Items, func(r client.BulkRun) bool { return r.Id.String() == name })
		})
	}
	return err
}

var bulkRunTable = table[client.BulkRun]{
	columns: []column[client.BulkRun]{
		{"RUN", func(r client.BulkRun) string { return r.Id.String() }},
		{"JOB", func(r client.BulkRun) string { return r.JobId.String() }},
		{"RESULT", func(r client.BulkRun) string { return string(r.Result) }},
		{"NEW RUN OR REASON", func(r client.BulkRun) string {
			if r.RunId != nil {
				return r.RunId.String()
			}
			return orDash(r.Detail)
		}},
	},
	// A retry is called by the new run, so that it can be watched.
	name: func(r client.BulkRun) string {
		if r.RunId != nil {
			return r.RunId.String()
		}
		return r.Id.String()
	},
}

type retryRuns struct {
	manyRuns `embed:""`
}

// Run retries runs.
func (c *retryRuns) Run(ctx context.Context, s *Session) error {
	return c.do(ctx, s, client.RunBulkActionRETRY, "Retried")
}

type cancelRuns struct {
	manyRuns `embed:""`
}

// Run cancels runs.
func (c *cancelRuns) Run(ctx context.Context, s *Session) error {
	return c.do(ctx, s, client.RunBulkActionCANCEL, "Canceled")
}
