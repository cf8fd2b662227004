package jobfiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML returns a job, as the service answers it, as the YAML of a definition: without defaults,
// without its state, and with a comment that names the secrets.
func YAML(job map[string]json.RawMessage) ([]byte, error) {
	var names []string
	if err := json.Unmarshal(job["targetSecrets"], &names); err != nil {
		return nil, fmt.Errorf("read the names of its secrets: %w", err)
	}
	node, err := definitionOf(job)
	if err != nil {
		return nil, err
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

// JSON returns a job, as the service answers it, as the JSON of a definition: without defaults, and
// without its state and its secrets.
func JSON(job map[string]json.RawMessage) (json.RawMessage, error) {
	node, err := definitionOf(job)
	if err != nil {
		return nil, err
	}
	return Definition{node: node}.JSON(nil)
}

func definitionOf(job map[string]json.RawMessage) (*yaml.Node, error) {
	contract := Contract()
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range contract.Names {
		value := job[name]
		isEmpty := string(value) == "[]" && name != "payload" // the contract states no defaults of lists
		if value == nil || string(value) == "null" || isEmpty || isDefault(contract, name, value) {
			continue
		}
		child, err := FromJSON(value)
		if err != nil {
			return nil, err
		}
		if name == "target" {
			child = withoutDefaults(contract, child)
		}
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, child)
	}
	return node, nil
}

// isDefault reports whether a field has its default.
func isDefault(contract Fields, name string, value json.RawMessage) bool {
	var compact bytes.Buffer
	return contract.Defaults[name] != nil && json.Compact(&compact, contract.Defaults[name]) == nil && compact.String() == string(value)
}

// withoutDefaults returns a target without the fields that have their defaults.
func withoutDefaults(contract Fields, target *yaml.Node) *yaml.Node {
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
