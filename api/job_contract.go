package api

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/gen/server"
	"punctual/internal/jobs"
)

// JobContract returns what openapi.yaml says of jobs: the defaults of a new one, and the types of
// targets. So a new default or a new type of target needs nothing here. An error means that the
// embedded spec is broken.
func JobContract() (c jobs.Contract, err error) {
	spec, err := readSpec()
	if err != nil {
		return c, err
	}
	defaults, err := json.Marshal(defaultsOf(spec.Components.Schemas["JobCreate"].Value))
	if err != nil {
		return c, fmt.Errorf("encode the defaults of a job: %w", err)
	}
	if err := json.Unmarshal(defaults, &c.Defaults); err != nil {
		return c, fmt.Errorf("decode the defaults of a job: %w", err)
	}
	c.TargetTypes = map[string]jobs.TargetType{}
	union := spec.Components.Schemas["Target"].Value
	for name, ref := range union.Discriminator.Mapping {
		i := slices.IndexFunc(union.OneOf, func(s *openapi3.SchemaRef) bool { return s.Ref == ref.Ref })
		if i < 0 {
			return c, fmt.Errorf("target type %q is not one of the union", name)
		}
		t := jobs.TargetType{Fields: map[string]bool{}, Defaults: defaultsOf(union.OneOf[i].Value), IsSecret: map[string]bool{}}
		for field, property := range union.OneOf[i].Value.Properties {
			t.Fields[field] = true
			if property.Value.WriteOnly {
				t.IsSecret[field] = true
			}
		}
		c.TargetTypes[name] = t
	}
	options := append([]openapi3.SchemaValidationOption{openapi3.VisitAsRequest(), openapi3.MultiErrors()}, formatOptions...)
	c.CheckTarget = func(target jobs.Target) []jobs.Field {
		err := union.VisitJSON(map[string]any(target), options...)
		if err == nil {
			return nil
		}
		return encodeAll(schemaErrors(err, server.FieldErrorInBody, "target"), func(f server.FieldError) jobs.Field {
			return jobs.Field{Name: f.Field, Code: jobs.Code(f.Code), Detail: f.Detail}
		})
	}
	return c, nil
}

// defaultsOf returns the defaults of an object's properties.
func defaultsOf(schema *openapi3.Schema) map[string]any {
	defaults := map[string]any{}
	for name, property := range schema.Properties {
		if property.Value.Default != nil {
			defaults[name] = property.Value.Default
		}
	}
	return defaults
}
