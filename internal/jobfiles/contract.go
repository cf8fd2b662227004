package jobfiles

import (
	"encoding/json"
	"sync"

	"go.yaml.in/yaml/v3"

	"punctual"
)

// Fields is what the contract says about the fields of a definition.
type Fields struct {
	// Names are the names of the fields, in the order of the contract.
	Names []string
	// Defaults are the values of fields that are left out, as JSON. Fields of a target have the
	// name target.x.
	Defaults map[string]json.RawMessage
	// Secrets are the fields of a target that are not returned.
	Secrets []string
}

// Contract returns what the JSON schema of definitions says about their fields.
var Contract = sync.OnceValue(func() Fields {
	type property struct {
		Default   json.RawMessage `json:"default"`
		WriteOnly bool            `json:"writeOnly"`
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]property `json:"properties"`
		} `json:"$defs"`
	}
	node, err := FromJSON(punctual.JobSchema)
	if err == nil {
		err = json.Unmarshal(punctual.JobSchema, &schema)
	}
	if err != nil {
		panic("the generated schema is JSON: " + err.Error())
	}
	fields := Fields{Defaults: map[string]json.RawMessage{}}
	names := at(node, "$defs", "job", "properties").Content
	for i := 0; i < len(names); i += 2 {
		fields.Names = append(fields.Names, names[i].Value)
	}
	for name, p := range schema.Defs["job"].Properties {
		if p.Default != nil {
			fields.Defaults[name] = p.Default
		}
	}
	for _, variant := range []string{"LogTarget", "HttpTarget", "WorkerTarget"} {
		for name, p := range schema.Defs[variant].Properties {
			if p.Default != nil {
				fields.Defaults["target."+name] = p.Default
			}
			if p.WriteOnly {
				fields.Secrets = append(fields.Secrets, name)
			}
		}
	}
	return fields
})

// at returns what is at a path of a node.
func at(node *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		node, _ = child(node, name)
	}
	return node
}
