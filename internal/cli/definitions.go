package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"punctual/gen/client"
	"punctual/internal/jobfiles"
)

// maxDefinitions is how many definitions the service applies in one transaction.
const maxDefinitions = 1000

// filesCmd are the commands for jobs that are kept in files.
type filesCmd struct {
	Apply  applyJobs  `cmd:"" help:"Make jobs be as files say."`
	Diff   diffJobs   `cmd:"" help:"Say what apply would do. The exit code is 2 if that is something."`
	Export exportJobs `cmd:"" help:"Write jobs as files that apply takes back."`
}

// fileFlags say which definitions are meant, and what becomes of jobs that have none.
type fileFlags struct {
	Files    []string `name:"filename" short:"f" required:"" placeholder:"FILE|DIR|-" help:"Files or directories with definitions in YAML or JSON. A dash is the standard input."`
	Prune    bool     `help:"Delete the jobs that --selector selects, have a key, and are in no file."`
	Selector string   `short:"l" placeholder:"SELECTOR" help:"With --prune: which jobs the files are all of, by their labels."`
}

// Validate refuses what makes no sense. Kong calls it.
func (f fileFlags) Validate() error {
	if f.Prune != (f.Selector != "") {
		return usage("--prune and --selector (-l) belong together: they say which jobs are deleted if they are in no file")
	}
	return nil
}

// definitions are those of the files, as a request.
type definitions struct {
	fileFlags
	all  []jobfiles.Definition
	json []json.RawMessage
}

// read reads the files. It returns all faults that it finds.
func (f fileFlags) read(c *Console) (*definitions, error) {
	all, err := jobfiles.Read(f.Files, c.In)
	if err != nil {
		return nil, err
	}
	switch {
	case len(all) > maxDefinitions:
		return nil, usage("there are %d definitions, and the service applies at most %d at once, so that all of them or none "+
			"are applied. Split them, and apply each part by itself; with --prune, each part needs a label of its own", len(all), maxDefinitions)
	case len(all) == 0 && f.Prune:
		return nil, usage("there are no definitions, so --prune would delete all jobs that %q selects", f.Selector)
	}
	d := &definitions{fileFlags: f, all: all, json: []json.RawMessage{}}
	var faults []error
	for _, one := range all {
		text, err := one.JSON(os.LookupEnv)
		if err != nil {
			faults = append(faults, err)
		}
		d.json = append(d.json, text)
	}
	return d, errors.Join(faults...)
}

// send asks the service to apply the definitions, or what that would do.
func (d *definitions) send(ctx context.Context, s *Session, isDryRun bool) (client.JobsApplied, error) {
	request := struct {
		Definitions []json.RawMessage `json:"definitions"`
		Prune       string            `json:"prune,omitempty"`
		DryRun      bool              `json:"dryRun"`
	}{d.json, d.Selector, isDryRun}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // a payload keeps its bytes
	if err := encoder.Encode(request); err != nil {
		return client.JobsApplied{}, fmt.Errorf("encode the definitions: %w", err)
	}
	applied, err := answer[client.JobsApplied](s.ApplyJobsWithBody(ctx, nil, "application/json", &body))
	return applied, d.locate(err)
}

// locate says in which file and on which line the fields are that the service has refused.
func (d *definitions) locate(err error) error {
	problem := (*refused)(nil)
	if !errors.As(err, &problem) || problem.Errors == nil {
		return err
	}
	faults := []error{errors.New(strings.TrimSpace(problem.Detail) + " Nothing has changed.")}
	for _, field := range *problem.Errors {
		rest, _ := strings.CutPrefix(field.Field, "definitions.")
		number, name, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(d.all) {
			faults = append(faults, d.all[n].At(name, field.Detail))
			continue
		}
		faults = append(faults, fmt.Errorf("%s: %s", field.Field, field.Detail))
	}
	return errors.Join(faults...)
}
