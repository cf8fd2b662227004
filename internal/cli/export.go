package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

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
		if exported[*key], err = definition(job); err != nil {
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

// definition returns a job as YAML, without defaults, without its state, and with a comment that
// names the secrets.
func definition(job map[string]json.RawMessage) ([]byte, error) {
	contract := jobfiles.Contract()
	var names []string
	if err := json.Unmarshal(job["targetSecrets"], &names); err != nil {
		return nil, fmt.Errorf("read the names of its secrets: %w", err)
	}
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range contract.Names {
		value := job[name]
		isEmpty := string(value) == "[]" && name != "payload" // the contract states no defaults of lists
		if value == nil || string(value) == "null" || isEmpty || isDefault(contract, name, value) {
			continue
		}
		child, err := jobfiles.FromJSON(value)
		if err != nil {
			return nil, err
		}
		if name == "target" {
			child = withoutDefaults(contract, child)
		}
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, child)
	}
	var out bytes.Buffer
	if len(names) > 0 {
		fmt.Fprintf(&out, "# Secrets cannot be read, and stay as they are if they are left out: %s.\n", strings.Join(names, ", "))
		fmt.Fprintf(&out, "# To give one here, write it as %q.\n", "${env:NAME_OF_A_VARIABLE}")
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

// isDefault reports whether a field has its default.
func isDefault(contract jobfiles.Fields, name string, value json.RawMessage) bool {
	var compact bytes.Buffer
	return contract.Defaults[name] != nil && json.Compact(&compact, contract.Defaults[name]) == nil && compact.String() == string(value)
}

// withoutDefaults returns a target without the fields that have their defaults.
func withoutDefaults(contract jobfiles.Fields, target *yaml.Node) *yaml.Node {
	kept := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(target.Content); i += 2 {
		name, value := target.Content[i], target.Content[i+1]
		isEmpty := value.Kind != yaml.ScalarNode && len(value.Content) == 0
		text := []byte(value.Value)
		if value.Tag == "!!str" {
			text, _ = json.Marshal(value.Value) // never fails
		}
		if !isEmpty && !isDefault(contract, "target."+name.Value, text) && value.Tag != "!!null" {
			kept.Content = append(kept.Content, name, value)
		}
	}
	return kept
}
