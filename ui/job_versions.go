package ui

import (
	"encoding/json"
	"maps"
	"slices"

	"punctual/gen/client"
	"punctual/internal/answers"
	"punctual/internal/sanitize"
)

// listVersions shows all versions of a job.
func listVersions(p *page) error {
	job, _, err := p.readJob()
	if err != nil {
		return err
	}
	list, err := answers.Of[client.JobVersionPage](p.ListJobVersions(p.Context(), job.Id, &client.ListJobVersionsParams{
		Cursor: p.cursor(), Limit: new(itemsOfPage),
	}))
	if err != nil {
		return err
	}
	return p.show("Versions of "+job.Name, versionsPage(p, job, list))
}

// difference is a value that a version has changed.
type difference struct{ path, from, to string }

// differences returns what a version has changed. Of an object, those of its values that differ.
func differences(changes []client.FieldChange) (all []difference) {
	for _, change := range changes {
		if change.Field == "targetSecrets" && string(change.From) == string(change.To) {
			all = append(all, difference{"target", "a secret", "another secret"})
			continue
		}
		all = append(all, differ(change.Field, change.From, change.To)...)
	}
	return all
}

func differ(path string, from, to json.RawMessage) (all []difference) {
	var before, after map[string]json.RawMessage
	if json.Unmarshal(from, &before) != nil || json.Unmarshal(to, &after) != nil || before == nil || after == nil {
		return []difference{{path, oneLine(from), oneLine(to)}}
	}
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, is := before[name]; !is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if string(before[name]) != string(after[name]) {
			all = append(all, differ(path+"."+name, before[name], after[name])...)
		}
	}
	return all
}

// oneLine writes a value in a line: a text without quotes, and a dash for none.
func oneLine(value json.RawMessage) string {
	var text string
	switch {
	case value == nil || string(value) == "null":
		return "–"
	case json.Unmarshal(value, &text) == nil && text != "":
		return sanitize.Visible(text)
	default:
		return sanitize.Visible(escapes.Replace(string(value)))
	}
}
