package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"punctual/gen/client"
)

type runJobs struct {
	manyJobs `embed:""`
	Payload  string `placeholder:"JSON|@FILE" help:"The payload of the run, of one job: JSON, or a file with it; @- is the standard input."`
	At       *ahead `placeholder:"WHEN" help:"When the run of one job is due, beside its other runs: a duration such as 2h or 3d, or an instant."`
}

// Run starts a run of each job.
func (c *runJobs) Run(ctx context.Context, s *Session) error {
	if c.Payload == "" && c.At == nil {
		_, err := c.do(ctx, s, client.JobBulk{Action: client.JobBulkActionRUN}, "Started")
		return err
	}
	if len(c.Names) != 1 || c.All || c.DryRun || c.selector() != (client.JobSelector{}) {
		return usage("--payload and --at are for one job, which is named, and not for a dry run")
	}
	var what client.RunStart
	if c.Payload != "" {
		payload, err := readPayload(c.Payload, s.In)
		if err != nil {
			return err
		}
		what.Payload = payload
	}
	if c.At != nil {
		overlap := client.OverlapPolicyOverrideALLOWALL
		what.StartAt, what.OverlapPolicy = &c.At.Time, &overlap
	}
	job, err := s.job(ctx, c.Names[0])
	if err != nil {
		return err
	}
	run, err := answer[client.Run](s.RunJob(ctx, job.Id, nil, what))
	if err != nil {
		return err
	}
	return runDetails.show(s, []client.Run{run})
}

// readPayload returns the JSON that a user gives, or that a file has.
func readPayload(given string, in io.Reader) (json.RawMessage, error) {
	text := []byte(given)
	if path, isFile := strings.CutPrefix(given, "@"); isFile {
		var err error
		if path == "-" {
			text, err = io.ReadAll(in)
		} else {
			text, err = os.ReadFile(path) //nolint:gosec // the user chooses the file
		}
		if err != nil {
			return nil, fmt.Errorf("read the payload: %w", err)
		}
	}
	if !json.Valid(text) {
		return nil, usage("the payload is no JSON")
	}
	return text, nil
}
