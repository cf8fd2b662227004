package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/executor"
	"punctual/internal/secrets"
)

// targetType is what the contract says of one type of target: its defaults, and which of its fields are secret. So a new
// type needs nothing here.
type targetType struct {
	defaults map[string]any
	isSecret map[string]bool
}

// newTargetTypes reads the contract.
func newTargetTypes(spec *openapi3.T) (map[string]targetType, error) {
	types := map[string]targetType{}
	union := spec.Components.Schemas["Target"].Value
	for name, ref := range union.Discriminator.Mapping {
		i := slices.IndexFunc(union.OneOf, func(s *openapi3.SchemaRef) bool { return s.Ref == ref.Ref })
		if i < 0 {
			return nil, fmt.Errorf("target type %q is not one of the union", name)
		}
		t := targetType{defaults: map[string]any{}, isSecret: map[string]bool{}}
		for field, property := range union.OneOf[i].Value.Properties {
			if property.Value.WriteOnly {
				t.isSecret[field] = true
			}
			if property.Value.Default != nil {
				t.defaults[field] = property.Value.Default
			}
		}
		types[name] = t
	}
	return types, nil
}

// defineTarget completes a job with its target, as the request gives it, and with the secrets of that, sealed. before is the job it
// changes, if any. It returns the fields at fault.
func (s *handlers) defineTarget(job *db.Job, given json.RawMessage, before *db.Job) (wrong []server.FieldError, err error) {
	// Decoded and encoded again, a number has one form: the schema takes 200.0 for an integer, who reads it later may not.
	var fields map[string]any
	if err := json.Unmarshal(given, &fields); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	name, _ := fields["type"].(string)
	kind := s.targetTypes[name]
	hidden := map[string]any{}
	for field := range kind.isSecret {
		if value, ok := fields[field]; ok {
			hidden[field] = value
			delete(fields, field)
		}
	}
	for field, value := range kind.defaults {
		if _, ok := fields[field]; !ok {
			fields[field] = value
		}
	}
	if job.Target, err = json.Marshal(fields); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	job.Queue = executor.QueueOf(job.Target)
	if wrong, err = s.keepSecrets(kind, job.Target, hidden, before); err != nil || len(wrong) > 0 {
		return wrong, err
	}
	maps.DeleteFunc(hidden, func(_ string, value any) bool { return len(namesIn("", value)) == 0 })
	opened, err := json.Marshal(hidden)
	if err != nil {
		return nil, fmt.Errorf("secrets of the target: %w", err)
	}
	for _, fault := range s.Targets.Check(job.Target, opened) {
		wrong = append(wrong, inBody("target."+fault.Field, fault.Detail))
	}
	if len(hidden) == 0 || len(wrong) > 0 {
		return wrong, nil
	}
	return s.seal(job, opened, hidden)
}

// checkGroup returns the fault of a job whose bound nobody would keep.
func checkGroup(job db.Job) (wrong []server.FieldError) {
	if job.ConcurrencyGroup != nil && job.Queue != nil {
		wrong = append(wrong, inBody("concurrencyGroup", "is not for jobs whose runs workers execute: that many execute as there are workers"))
	}
	return wrong
}

// seal seals the secrets of a job's target.
func (s *handlers) seal(job *db.Job, opened []byte, fields map[string]any) (wrong []server.FieldError, err error) {
	err = executor.SealSecrets(s.Secrets, job, opened)
	if errors.Is(err, secrets.ErrNoKey) {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			wrong = append(wrong, inBody("target."+field, "cannot be kept: the operator has configured no key for secrets (SECRET_KEYS)"))
		}
		return wrong, nil
	}
	if err != nil {
		return nil, fmt.Errorf("seal the secrets of the target: %w", err)
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		job.SecretNames = append(job.SecretNames, namesIn(field, fields[field])...)
	}
	return nil, nil
}

// keepSecrets adds to the secrets of a changed target those that the change does not give, while they go to the same host:
// who may change a job is not to read its secrets by having them sent to somewhere else.
func (s *handlers) keepSecrets(
	kind targetType, definition json.RawMessage, hidden map[string]any, before *db.Job,
) (wrong []server.FieldError, err error) {
	if before == nil || before.SecretsKeyID == nil {
		return nil, nil
	}
	old, err := s.openSecrets(before)
	if err != nil {
		return nil, err
	}
	for _, field := range slices.Sorted(maps.Keys(old)) {
		if _, ok := hidden[field]; ok || !kind.isSecret[field] {
			continue
		}
		if !sameHost(before.Target, definition) {
			wrong = append(wrong, inBody("target."+field, "has to be given again: the target is another"))
			continue
		}
		hidden[field] = old[field]
	}
	return wrong, nil
}

// sameHost tells whether two targets are of the same type and send to the same host.
func sameHost(a, b json.RawMessage) bool {
	of := func(raw json.RawMessage) (place struct{ kind, scheme, host string }) {
		var t struct{ Type, URL string }
		_ = json.Unmarshal(raw, &t) // both have passed the contract
		place.kind = t.Type
		if u, err := url.Parse(t.URL); err == nil {
			place.scheme, place.host = u.Scheme, u.Host
		}
		return place
	}
	return of(a) == of(b)
}

// openSecrets returns the secrets of a job's target, by field.
func (s *handlers) openSecrets(job *db.Job) (fields map[string]any, err error) {
	raw, err := executor.OpenSecrets(s.Secrets, job)
	if err != nil {
		return nil, fmt.Errorf("open the secrets of job %s: %w", job.ID, err)
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("secrets of job %s: %w", job.ID, err)
	}
	return fields, nil
}

// namesIn names what there is in a secret field: the members of an object, or the field itself; nothing where it is empty.
func namesIn(field string, value any) (names []string) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			names = append(names, field+"."+name)
		}
		return names
	case []any:
		if len(v) == 0 {
			return nil
		}
	}
	return []string{field}
}
