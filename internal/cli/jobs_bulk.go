package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"punctual/gen/client"
)

// manyJobs says which jobs a command changes, by name or by filters.
type manyJobs struct {
	Globals     `embed:""`
	jobFilter   `embed:""`
	changeFlags `embed:""`
	Names       []string `arg:"" optional:"" name:"job" help:"The keys or ids of jobs."`
	All         bool     `group:"filter" help:"All jobs of the namespace."`
}

// maxNames is how many ids or keys a selector takes.
const maxNames = 1000

// selectors returns which jobs are meant. A selector takes keys or ids, since all of its fields
// have to match.
func (m *manyJobs) selectors() ([]client.JobSelector, error) {
	by := m.selector()
	isFiltered := by != (client.JobSelector{})
	switch {
	case m.All && (isFiltered || len(m.Names) > 0):
		return nil, usage("--all cannot be used together with the names of jobs or with filters")
	case m.All:
		by.Status = &[]client.JobStatus{client.JobStatusACTIVE, client.JobStatusPAUSED, client.JobStatusCOMPLETED}
		return []client.JobSelector{by}, nil
	case len(m.Names) == 0 && !isFiltered:
		return nil, usage("name the jobs, or select them, such as by -l team=payments; --all means all")
	case len(m.Names) == 0:
		return []client.JobSelector{by}, nil
	}
	var ids []uuid.UUID
	var keys []string
	for _, name := range m.Names {
		if id, err := uuid.Parse(name); err == nil {
			ids = append(ids, id)
		} else {
			keys = append(keys, name)
		}
	}
	var all []client.JobSelector
	for some := range slices.Chunk(ids, maxNames) {
		part := by
		part.Ids = &some
		all = append(all, part)
	}
	for some := range slices.Chunk(keys, maxNames) {
		part := by
		part.Keys = &some
		all = append(all, part)
	}
	return all, nil
}

// do sends a bulk change, and prints what became of it. The request has the action and what belongs
// to it; past is the action for people, such as "Paused".
func (m *manyJobs) do(ctx context.Context, s *Session, request client.JobBulk, past string) (outcome[client.BulkJob], error) {
	selectors, err := m.selectors()
	if err != nil {
		return outcome[client.BulkJob]{}, err
	}
	pause := request.PauseId
	b := bulk[client.BulkJob]{
		verb: strings.ToLower(string(request.Action)), thing: "job", parts: len(selectors), isOne: len(m.Names) == 1,
		step: func(ctx context.Context, part int, cursor *string, isDryRun bool) (outcome[client.BulkJob], error) {
			send := request
			send.Selector, send.Cursor, send.DryRun = selectors[part], cursor, &isDryRun
			if !isDryRun && cursor == nil {
				send.PauseId = pause
			}
			return answer[outcome[client.BulkJob]](s.ChangeJobs(ctx, nil, send))
		},
		after: func(did outcome[client.BulkJob]) {
			if did.PauseID != nil && !did.DryRun { // the next selector belongs to the same pause
				if id, err := uuid.Parse(*did.PauseID); err == nil {
					pause = &id
				}
			}
		},
	}
	done, failed := b.run(ctx, s, m.changeFlags)
	if failed != nil && len(done.Items) == 0 {
		return done, failed
	}
	isList := request.Action == client.JobBulkActionRUN || m.DryRun
	listed := func(j client.BulkJob) bool {
		return j.Result == client.BulkResultFAILED || isList && j.Result == client.BulkResultCHANGED
	}
	err = report(s, done, bulkJobTable, past, "job", listed, func(j client.BulkJob) bool { return j.Result == client.BulkResultCHANGED })
	if failed != nil {
		return done, failed // what was done until then is printed
	}
	if err == nil && m.selector() == (client.JobSelector{}) {
		err = missing("job", m.Names, func(name string) bool {
			return slices.ContainsFunc(done.Items, func(j client.BulkJob) bool {
				return j.Id.String() == strings.ToLower(name) || j.Key != nil && *j.Key == name
			})
		})
	}
	return done, err
}

var bulkJobTable = table[client.BulkJob]{
	columns: []column[client.BulkJob]{
		{"KEY OR ID", bulkJobName},
		{"NAME", func(j client.BulkJob) string { return j.Name }},
		{"RESULT", func(j client.BulkJob) string { return string(j.Result) }},
		{"RUN OR REASON", func(j client.BulkJob) string {
			if j.RunId != nil {
				return j.RunId.String()
			}
			return orDash(j.Detail)
		}},
	},
	// What was started is called by its run, so that it can be watched.
	name: func(j client.BulkJob) string {
		if j.RunId != nil {
			return j.RunId.String()
		}
		return bulkJobName(j)
	},
}

func bulkJobName(j client.BulkJob) string {
	if j.Key != nil {
		return *j.Key
	}
	return j.Id.String()
}

type pauseJobs struct {
	manyJobs `embed:""`
	Reason   string `placeholder:"TEXT" help:"Why, for people to read."`
	Until    *ahead `placeholder:"WHEN" help:"When the jobs go on by themselves: a duration such as 2h or 3d, or an instant."`
}

// Run pauses jobs.
func (c *pauseJobs) Run(ctx context.Context, s *Session) error {
	request := client.JobBulk{Action: client.JobBulkActionPAUSE, Reason: given(c.Reason)}
	if c.Until != nil {
		request.PauseUntil = &c.Until.Time
	}
	done, err := c.do(ctx, s, request, "Paused")
	if done.PauseID != nil && done.Changed > 0 && !done.DryRun {
		to := s.Out
		if s.Output != outTable {
			to = s.Err // the output is for programs
		}
		fmt.Fprintf(to, "The pause has the id %s. To resume just these jobs: punctual jobs resume --pause %s\n", *done.PauseID, *done.PauseID)
	}
	return err
}

type resumeJobs struct {
	manyJobs `embed:""`
	Reason   string `placeholder:"TEXT" help:"Why, for people to read."`
}

// Run resumes jobs.
func (c *resumeJobs) Run(ctx context.Context, s *Session) error {
	_, err := c.do(ctx, s, client.JobBulk{Action: client.JobBulkActionRESUME, Reason: given(c.Reason)}, "Resumed")
	return err
}

type deleteJobs struct {
	manyJobs `embed:""`
}

// Run deletes jobs.
func (c *deleteJobs) Run(ctx context.Context, s *Session) error {
	_, err := c.do(ctx, s, client.JobBulk{Action: client.JobBulkActionDELETE}, "Deleted")
	return err
}
