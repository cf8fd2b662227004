package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"

	"punctual/gen/server"
)

// readSpec returns the contract, for the checks of requests. It is read once, because that takes
// longer than all else at a start. Nobody changes it. An error means that the embedded spec is
// broken.
var readSpec = sync.OnceValues(func() (*openapi3.T, error) {
	spec, err := server.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("read the embedded spec: %w", err)
	}
	spec.Servers = nil  // requests are for this service, under whatever name
	spec.Security = nil // authenticate and authorize have seen to it
	return spec, nil
})

// contractJSON returns the contract as JSON, with the version of the service in its info. Its
// fields are in the author's order, which Swagger UI and generators keep.
func contractJSON(contract []byte, version string) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(contract, &document); err != nil {
		return nil, err
	}
	root := document.Content[0]
	for i := 0; i < len(root.Content); i += 2 {
		if info := root.Content[i+1]; root.Content[i].Value == "info" && version != "" {
			info.Content = append(info.Content, text("x-service-version"), text(version))
		}
	}
	var out bytes.Buffer
	err := writeJSON(&out, root)
	return out.Bytes(), err
}

func text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// writeJSON writes a YAML value as JSON. Going through a map instead would sort its fields.
func writeJSON(out *bytes.Buffer, node *yaml.Node) error {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			out.WriteByte("{,"[min(i, 1)])
			if err := writeScalar(out, node.Content[i].Value); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := writeJSON(out, node.Content[i+1]); err != nil {
				return err
			}
		}
		if len(node.Content) == 0 {
			out.WriteByte('{')
		}
		out.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		for i, item := range node.Content {
			out.WriteByte("[,"[min(i, 1)])
			if err := writeJSON(out, item); err != nil {
				return err
			}
		}
		if len(node.Content) == 0 {
			out.WriteByte('[')
		}
		out.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		var value any
		if err := node.Decode(&value); err != nil {
			return err
		}
		return writeScalar(out, value)
	default:
		return fmt.Errorf("line %d: aliases are not used in the contract", node.Line)
	}
}

func writeScalar(out *bytes.Buffer, value any) error {
	raw, err := json.Marshal(value)
	out.Write(raw)
	return err
}
