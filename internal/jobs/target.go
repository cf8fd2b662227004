package jobs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"punctual/internal/access"
	"punctual/internal/executor"
	"punctual/internal/secrets"
)

// setTarget gives a job the target that a request gives, with its secrets sealed. before is the job
// as it was, or nil if it is new. It returns the fields that are wrong. The error is a Conflict if
// secrets that the job has are needed and cannot be opened.
func (s *Service) setTarget(job *Definition, given Target, before *Definition) (wrong []Field, err error) {
	name, _ := given["type"].(string) // which the contract requires
	kind := s.Contract.TargetTypes[name]
	fields, hidden := map[string]any{}, map[string]any{}
	maps.Copy(fields, kind.Defaults)
	for field, value := range given {
		if kind.IsSecret[field] {
			hidden[field] = value
		} else {
			fields[field] = value
		}
	}
	// Encoded again, a number has one form: the contract takes 200.0 for an integer, and whoever
	// reads it later may not.
	if job.Target, err = json.Marshal(fields); err != nil {
		return nil, fmt.Errorf("encode the target: %w", err)
	}
	job.QualifiedQueue = nil
	if queue, ok := fields["queue"].(string); ok {
		job.QualifiedQueue = new(access.Qualified(job.Namespace, queue))
	} else if connection, ok := fields["connection"].(string); ok {
		job.QualifiedQueue = new(access.QualifiedConnection(job.Namespace, connection))
	}
	if before != nil {
		if wrong, err = s.keepSecrets(job, before, kind, hidden); err != nil || len(wrong) > 0 {
			return wrong, err
		}
	}
	maps.DeleteFunc(hidden, func(_ string, value any) bool { return len(namesIn("", value)) == 0 })
	opened, err := json.Marshal(hidden)
	if err != nil {
		return nil, fmt.Errorf("encode the secrets of the target: %w", err)
	}
	for _, fault := range s.Targets.Check(job.Target, opened) {
		wrong = append(wrong, Field{"target." + fault.Field, Code(fault.Code), fault.Detail})
	}
	if len(wrong) > 0 {
		return wrong, nil
	}
	return s.setSecrets(job, before, hidden, opened)
}

// checkPlaceholders returns the fields of a job's target with placeholders of an event, unless
// events start the job.
func checkPlaceholders(job *Definition) (wrong []Field) {
	if job.StartsOn != nil {
		return nil
	}
	for _, field := range executor.FieldsOfEvents(job.Target) {
		wrong = append(wrong, Field{"target." + field, Conflicting, "has a placeholder of an event, and the job does not start on events"})
	}
	return wrong
}

// completeGroup fills in what follows from the concurrency group and the target of a job: where its
// runs wait first. It returns the field that is wrong if the job has two limits.
func completeGroup(job *Definition) []Field {
	job.QualifiedGroup = nil
	if job.ConcurrencyGroup != nil {
		job.QualifiedGroup = new(access.QualifiedGroup(job.Namespace, *job.ConcurrencyGroup))
	}
	job.FirstQueue = cmp.Or(job.QualifiedGroup, job.QualifiedQueue)
	if job.ConcurrencyGroup == nil || job.QualifiedQueue == nil || !access.IsConnection(*job.QualifiedQueue) {
		return nil
	}
	return []Field{{"concurrencyGroup", Conflicting, "cannot be combined with a connection: its maxConcurrency is the limit"}}
}

// keepSecrets adds to the secrets that a request gives those that it leaves out and that the job
// has. They stay only while they go to the same host: whoever may change a job must not read its
// secrets by sending them somewhere else. Nothing is opened unless it is needed.
func (s *Service) keepSecrets(job, before *Definition, kind TargetType, hidden map[string]any) (wrong []Field, err error) {
	missing := map[string]bool{}
	for _, name := range before.SecretNames {
		field, _, _ := strings.Cut(name, ".")
		if _, isGiven := hidden[field]; kind.IsSecret[field] && !isGiven {
			missing[field] = true
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	if !goToSameHost(before.Target, job.Target) {
		for _, field := range slices.Sorted(maps.Keys(missing)) {
			wrong = append(wrong, secretRequired(field))
		}
		return wrong, nil
	}
	old, err := s.openKept(before)
	if err != nil {
		return nil, err
	}
	for field := range missing {
		hidden[field] = old[field]
	}
	return nil, nil
}

// setSecrets seals the secrets of a job's target: hidden, which opened is the JSON of. Secrets that
// the job has already stay as they are sealed, so that a request which repeats them changes
// nothing.
func (s *Service) setSecrets(job, before *Definition, hidden map[string]any, opened []byte) (wrong []Field, err error) {
	job.SealedSecrets, job.SecretsKeyID, job.SecretsDigest, job.SecretNames = nil, nil, nil, []string{}
	if len(hidden) == 0 {
		return nil, nil
	}
	fields := slices.Sorted(maps.Keys(hidden))
	for _, field := range fields {
		job.SecretNames = append(job.SecretNames, namesIn(field, hidden[field])...)
	}
	if before != nil && executor.HasSecrets(s.Secrets, before, opened) {
		job.SealedSecrets, job.SecretsKeyID, job.SecretsDigest = before.SealedSecrets, before.SecretsKeyID, before.SecretsDigest
		return nil, nil
	}
	switch err := executor.SealSecrets(s.Secrets, job, opened); {
	case errors.Is(err, secrets.ErrNoKey):
		for _, field := range fields {
			wrong = append(wrong, Field{
				"target." + field, SecretKeyMissing,
				"cannot be stored: the operator has configured no key for secrets (SECRET_KEYS)",
			})
		}
		return wrong, nil
	case err != nil:
		return nil, fmt.Errorf("seal the secrets of the target: %w", err)
	}
	return nil, nil
}

// openSecrets returns the secrets of a job's target, by field.
func (s *Service) openSecrets(job *Definition) (fields map[string]any, err error) {
	raw, err := executor.OpenSecrets(s.Secrets, job)
	if err != nil {
		return nil, fmt.Errorf("open the secrets of job %s: %w", job.ID, err)
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("decode the secrets of job %s: %w", job.ID, err)
	}
	return fields, nil
}

// secretRequired says that a secret does not stay, because it would go elsewhere.
func secretRequired(name string) Field {
	return Field{"target." + name, SecretRequired, "must be sent again because the target's host or type changed"}
}

// openKept is openSecrets for a change that keeps some of them. The error is a Conflict.
func (s *Service) openKept(before *Definition) (fields map[string]any, err error) {
	if fields, err = s.openSecrets(before); err != nil {
		return nil, &Conflict{
			SecretsCannotBeOpened, fmt.Sprintf("The secrets of the target are sealed with the key %q, which this instance"+
				" does not have or which does not open them. Give all secret fields of the target, or add the key to"+
				" SECRET_KEYS.", *before.SecretsKeyID),
		}
	}
	return fields, nil
}

// goToSameHost reports whether two targets are of the same type and send to the same host, or by
// the same connection.
func goToSameHost(a, b json.RawMessage) bool {
	of := func(raw json.RawMessage) (place struct{ kind, scheme, host, connection string }) {
		var t struct{ Type, URL, Connection string }
		_ = json.Unmarshal(raw, &t) // both satisfy the contract
		place.kind, place.connection = t.Type, t.Connection
		if u, err := url.Parse(t.URL); err == nil {
			place.scheme, place.host = u.Scheme, u.Host
		}
		return place
	}
	before, after := of(a), of(b)
	goesNowhere := after.kind == before.kind && after.host == "" && after.connection == ""
	return after == before || goesNowhere // what goes nowhere is refused for that
}

// namesIn names what a secret field contains: the members of an object, or the field itself, or
// nothing if it is empty.
func namesIn(field string, value any) (names []string) {
	switch v := value.(type) {
	case nil:
		return nil
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
