package labels

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Selector selects sets of labels: those that satisfy all of its requirements. The zero Selector
// selects all sets.
type Selector struct{ requirements labels.Requirements }

var errNoLabel = errors.New("names no label, and so it would select all jobs")

// ParseSelector returns the selector that a text in the syntax of Kubernetes stands for. An empty
// text selects all sets. Blanks alone are refused: whoever sends them does not mean all. The error
// says for people what is wrong with the text.
func ParseSelector(text string) (Selector, error) {
	parsed, err := labels.Parse(text)
	if err != nil {
		// The library names itself, a field that it does not know, and a regular expression.
		detail, _, _ := strings.Cut(strings.ReplaceAll(err.Error(), "<nil>: ", ""), " (e.g.")
		return Selector{}, fmt.Errorf("is not a label selector: %s", strings.TrimPrefix(detail, "unable to parse requirement: "))
	}
	requirements, _ := parsed.Requirements()
	if len(requirements) == 0 && text != "" {
		return Selector{}, errNoLabel
	}
	for _, r := range requirements {
		if op := r.Operator(); op == selection.GreaterThan || op == selection.LessThan {
			return Selector{}, fmt.Errorf("compares the label %q; a selector knows =, !=, in, notin and whether there is a label", r.Key())
		}
	}
	return Selector{requirements}, nil
}

// IsEmpty reports whether the selector selects all sets.
func (s Selector) IsEmpty() bool { return len(s.requirements) == 0 }

// Matches reports whether the selector selects a set.
func (s Selector) Matches(set Set) bool {
	for _, r := range s.requirements {
		if !r.Matches(labels.Set(set)) {
			return false
		}
	}
	return true
}

// NeedsLabels reports whether the selector selects no set that is empty.
func (s Selector) NeedsLabels() bool { return !s.Matches(nil) }

// Names returns the labels that a set must have, whatever their values, or nil. An index of the
// labels answers that if it is asked for them by name, and not by a predicate.
func (s Selector) Names() (names []string) {
	for _, r := range s.requirements {
		if r.Operator() == selection.Exists {
			names = append(names, r.Key())
		}
	}
	return names
}

// Predicate returns the selector as a predicate of PostgreSQL's jsonpath about the object of the
// labels, without what Names says. It is empty if there is nothing to say. An index of the labels
// answers what it says of values that there are.
func (s Selector) Predicate() string {
	var terms []string
	for _, r := range s.requirements {
		if r.Operator() != selection.Exists {
			terms = append(terms, predicate(r))
		}
	}
	return strings.Join(terms, " && ")
}

func predicate(r labels.Requirement) string {
	label := "$." + quoted(r.Key())
	has := "exists(" + label + ")"
	if values := r.ValuesUnsorted(); len(values) > 0 {
		is := make([]string, len(values))
		for i, value := range values {
			is[i] = label + " == " + quoted(value)
		}
		has = "(" + strings.Join(is, " || ") + ")"
	}
	switch r.Operator() {
	case selection.NotIn, selection.NotEquals, selection.DoesNotExist:
		return "!" + has
	default:
		return has
	}
}

// quoted returns a text as jsonpath writes it, which is as JSON does.
func quoted(text string) string {
	raw, _ := json.Marshal(text) //nolint:errchkjson // a text can always be encoded
	return string(raw)
}
