package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"punctual/gen/client"
	"punctual/internal/jobfiles"
)

type exportJobs struct {
	Globals  `embed:""`
	Selector string `short:"l" placeholder:"SELECTOR" help:"Only jobs whose labels match, as in Kubernetes."`
	Dir      string `short:"d" placeholder:"DIR" help:"Write a file for each job into this directory, named by its key, instead of all to the standard output."`
}

// schemaLine makes editors check a file. The path is relative, because a checkout has the schema in
// it: punctual schema >job.schema.json.
const schemaLine = "# yaml-language-server: $schema=job.schema.json\n"

// Run writes jobs as definitions that apply takes back.
func (c *exportJobs) Run(ctx context.Context, s *Session) error {
	jobs, _, err := walk[map[string]json.RawMessage](ctx, 0, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.ListJobs(ctx, &client.ListJobsParams{Cursor: cursor, Limit: limit, LabelSelector: given(c.Selector)})
	})
	if err != nil {
		return err
	}
	keyless := 0
	exported := map[string][]byte{}
	for _, job := range jobs {
		var key *string
		if err := json.Unmarshal(job["key"], &key); err != nil {
			return fmt.Errorf("read the key of a job: %w", err)
		}
		if key == nil {
			keyless++
			continue
		}
		if exported[*key], err = jobfiles.YAML(job); err != nil {
			return fmt.Errorf("job %s: %w", *key, err)
		}
	}
	if keyless > 0 {
		fmt.Fprintf(s.Err, "%d jobs have no key and are left out: a key is what apply knows a job by.\n", keyless)
	}
	var keys []string
	for key := range exported {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return c.write(s, keys, exported)
}

// write writes the definitions, in the order of their keys.
func (c *exportJobs) write(s *Session, keys []string, exported map[string][]byte) error {
	if c.Dir == "" {
		for n, key := range keys {
			separator := "---\n"
			if n == 0 {
				separator = schemaLine
			}
			if _, err := fmt.Fprintf(s.Out, "%s%s", separator, exported[key]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, key := range keys {
		path := filepath.Join(c.Dir, filepath.FromSlash(fileOf(key)))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(path, exported[key], 0o600); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.Out, "%d jobs are in %s\n", len(keys), c.Dir)
	return err
}

// fileOf returns the name of the file of a job. A key may have parts such as .., which are no parts
// of a path here, and parts that begin with a dot, which apply would leave out.
func fileOf(key string) string {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		if part == "" || strings.HasPrefix(part, ".") {
			parts[i] = "_" + part
		}
	}
	return strings.Join(parts, "/") + ".yaml"
}
