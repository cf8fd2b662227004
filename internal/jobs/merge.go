package jobs

import (
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// mergeTarget gives a job the target that a change makes of the one before, by RFC 7396. Another
// type replaces the whole target. It returns the fields that are wrong. The error is a Conflict if
// secrets that the job has are needed and cannot be opened.
func (s *Service) mergeTarget(job *Definition, change Target, before *Definition) (wrong []Field, err error) {
	base := before.Target
	var is Target
	if err := json.Unmarshal(base, &is); err != nil {
		return nil, fmt.Errorf("decode the target: %w", err)
	}
	if name, isGiven := change["type"]; isGiven && name != is["type"] {
		base = json.RawMessage("{}")
	}
	merged, err := mergePatch(base, change)
	if err != nil {
		return nil, err
	}
	name, _ := merged["type"].(string)
	was, _ := is["type"].(string)
	kind, old := s.Contract.TargetTypes[name], s.Contract.TargetTypes[was]
	var removed []string
	for field, value := range change {
		members, hasMembers := value.(map[string]any)
		switch {
		case value == nil && !kind.Fields[field] && !old.Fields[field]:
			merged[field] = nil // so that the check finds a field that there is not
		case value == nil && kind.IsSecret[field]:
			removed = append(removed, field)
		case hasMembers && kind.IsSecret[field]:
			faults, err := s.mergeSecret(merged, field, members, before)
			if err != nil {
				return nil, err
			}
			wrong = append(wrong, faults...)
		}
	}
	if wrong = append(wrong, s.Contract.CheckTarget(merged)...); len(wrong) > 0 {
		return wrong, nil
	}
	for _, field := range removed {
		merged[field] = nil // which is given, so that it does not stay
	}
	return s.setTarget(job, merged, before)
}

// mergeSecret adds to a secret field of a target, which has members, those that the job has and the
// change does not name. They stay only while they go to the same host, as in keepSecrets.
func (s *Service) mergeSecret(target Target, field string, given map[string]any, before *Definition) (wrong []Field, err error) {
	var kept []string
	for _, name := range before.SecretNames {
		of, member, _ := strings.Cut(name, ".")
		if _, isNamed := given[member]; of == field && !isNamed {
			kept = append(kept, name)
		}
	}
	if len(kept) == 0 {
		return nil, nil
	}
	visible, err := json.Marshal(map[string]any{"type": target["type"], "url": target["url"], "connection": target["connection"]})
	if err != nil {
		return nil, fmt.Errorf("encode the target: %w", err)
	}
	if !goToSameHost(before.Target, visible) {
		for _, name := range kept {
			wrong = append(wrong, secretRequired(name))
		}
		return wrong, nil
	}
	opened, err := s.openKept(before)
	if err != nil {
		return nil, err
	}
	old, err := json.Marshal(opened[field])
	if err != nil {
		return nil, fmt.Errorf("encode a secret of the target: %w", err)
	}
	members, err := mergePatch(old, given)
	target[field] = map[string]any(members)
	return nil, err
}

// mergePatch returns an object as a change makes it, by RFC 7396.
func mergePatch(object []byte, change map[string]any) (merged Target, err error) {
	patch, err := json.Marshal(change)
	if err != nil {
		return nil, fmt.Errorf("encode a change of the target: %w", err)
	}
	done, err := jsonpatch.MergePatch(object, patch)
	if err != nil {
		return nil, fmt.Errorf("merge a change of the target: %w", err)
	}
	if err := json.Unmarshal(done, &merged); err != nil {
		return nil, fmt.Errorf("decode the changed target: %w", err)
	}
	return merged, nil
}
