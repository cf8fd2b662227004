// Command jobschema writes the JSON schema of files with definitions of jobs, which editors use and
// `punctual schema` prints. It is made of openapi.yaml, whose order of fields it keeps.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

func main() {
	if err := run("openapi.yaml", "gen/schema/job.schema.json"); err != nil {
		fmt.Fprintln(os.Stderr, "jobschema:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	text, err := os.ReadFile(from) //nolint:gosec // the contract
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return err
	}
	s := schemas{all: get(get(document.Content[0], "components"), "schemas")}
	var out bytes.Buffer
	out.WriteString(`{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"Definitions of jobs of Punctual",
		"oneOf":[{"$ref":"#/$defs/job"},{"type":"array","items":{"$ref":"#/$defs/job"}},
		{"type":"object","required":["jobs"],"additionalProperties":false,
		"properties":{"jobs":{"type":"array","items":{"$ref":"#/$defs/job"}}}}],"$defs":{`)
	for n, name := range []string{"JobCreate", "LogTarget", "HttpTarget", "WorkerTarget"} {
		if n > 0 {
			out.WriteByte(',')
		}
		shown := strings.Replace(name, "JobCreate", "job", 1)
		definition, err := s.definition(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&out, "%q:%s", shown, definition)
	}
	out.WriteString("}}")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
		return err
	}
	pretty.WriteByte('\n')
	return os.WriteFile(to, pretty.Bytes(), 0o644) //nolint:gosec // a file of the checkout
}

type schemas struct{ all *yaml.Node }

// definition returns a schema. That of a job requires its key, and a target refuses what is
// unknown.
func (s schemas) definition(name string) (string, error) {
	node := get(s.all, name)
	if name == "JobCreate" {
		required := get(node, "required")
		required.Content = append([]*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "key"}}, required.Content...)
	}
	text, err := s.json(node)
	if err == nil && get(node, "additionalProperties") == nil {
		text = strings.TrimSuffix(text, "}") + `,"additionalProperties":false}`
	}
	return text, err
}

// json returns a schema of OpenAPI 3.0 as JSON schema. References other than to the definitions of
// the result are replaced by what they stand for.
func (s schemas) json(node *yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.SequenceNode:
		parts := make([]string, len(node.Content))
		for i, item := range node.Content {
			part, err := s.json(item)
			if err != nil {
				return "", err
			}
			parts[i] = part
		}
		return "[" + strings.Join(parts, ",") + "]", nil
	case yaml.MappingNode:
		return s.object(node)
	default:
		var value any
		if err := node.Decode(&value); err != nil {
			return "", err
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(value)
		return strings.TrimSpace(out.String()), err
	}
}

func (s schemas) object(node *yaml.Node) (string, error) {
	if ref := get(node, "$ref"); ref != nil {
		name := ref.Value[strings.LastIndex(ref.Value, "/")+1:]
		if strings.HasSuffix(name, "Target") && name != "Target" {
			return fmt.Sprintf(`{"$ref":"#/$defs/%s"}`, name), nil
		}
		if name == "JobKey" { // in a file, a key is not null
			name = "JobKeyGiven"
		}
		return s.json(get(s.all, name))
	}
	isNullable := get(node, "nullable") != nil
	var parts []string
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i].Value, node.Content[i+1]
		switch {
		case name == "nullable" || name == "discriminator":
			continue
		case name == "example":
			name = "examples"
			value = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}}
		case name == "type" && value.Kind == yaml.ScalarNode && isNullable:
			value = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value, {Kind: yaml.ScalarNode, Tag: "!!str", Value: "null"}}}
		}
		text, err := s.json(value)
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("%q:%s", name, text))
	}
	return "{" + strings.Join(parts, ",") + "}", nil
}

// get returns what a mapping has under a name, or nil.
func get(node *yaml.Node, name string) *yaml.Node {
	for i := 0; node != nil && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}
