// Package labels has the names and values that jobs are selected by, in the syntax and the bounds
// of Kubernetes.
package labels

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Set are the labels of a job: values by name. A job without labels has a nil Set.
type Set map[string]string

// Changes say of some labels which values they get. Nil removes a label.
type Changes map[string]*string

// ApplyTo returns a set as the changes make it. It leaves the set alone.
func (c Changes) ApplyTo(set Set) Set {
	if len(c) == 0 {
		return set
	}
	changed := maps.Clone(set)
	if changed == nil {
		changed = Set{}
	}
	for name, value := range c {
		if value == nil {
			delete(changed, name)
		} else {
			changed[name] = *value
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return changed
}

// Fault is what is wrong with a label.
type Fault struct{ Name, Detail string }

// Check returns what is wrong with labels, in the order of their names.
func (s Set) Check() (faults []Fault) {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		details := append(validation.IsQualifiedName(name), validation.IsValidLabelValue(s[name])...)
		if len(details) > 0 {
			faults = append(faults, Fault{name, strings.Join(details, "; ")})
		}
	}
	return faults
}
