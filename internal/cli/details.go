package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"punctual/gen/client"
)

// show writes things with a field on each line. A single thing is one object as JSON and YAML.
func (t table[T]) show(s *Session, all []T) error {
	switch {
	case s.Output == outName:
		return t.print(s, all)
	case s.Output != outTable && len(all) == 1:
		return s.object(all[0])
	case s.Output != outTable:
		return t.print(s, all)
	}
	paint := painter(s.hasColor())
	for n, one := range all {
		if n > 0 {
			fmt.Fprintln(s.Out)
		}
		out := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
		for _, col := range t.columns {
			fmt.Fprintf(out, "%s:\t%s\n", col.title, paint(plain(col.value(one))))
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

var moreOfJob = []column[client.Job]{
	{"Running", func(j client.Job) string { return map[bool]string{true: "yes", false: "no"}[j.IsRunning] }},
	{"Last run", func(j client.Job) string {
		if j.LastRun == nil {
			return "-"
		}
		return fmt.Sprintf("%s %s %s", j.LastRun.Status, when(&j.LastRun.ScheduledFor), j.LastRun.Id)
	}},
	{"Last error", func(j client.Job) string {
		if j.LastRun == nil {
			return "-"
		}
		return orDash(j.LastRun.Error)
	}},
	{"Failures in a row", func(j client.Job) string { return strconv.Itoa(int(j.ConsecutiveFailures)) }},
	{"Next run", func(j client.Job) string { return when(j.NextRunAt) }},
	{"Target", func(j client.Job) string { return compact(j.Target) }},
	{"Payload", func(j client.Job) string { return compact(j.Payload) }},
	{"Version", func(j client.Job) string { return strconv.Itoa(int(j.Version)) }},
	{"Updated", func(j client.Job) string { return when(&j.UpdatedAt) + " by " + j.UpdatedBy }},
	{"Namespace", func(j client.Job) string { return j.Namespace }},
}

// labelsOf shows labels as a selector has them.
func labelsOf(labels client.Labels) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, name+"="+labels[name])
	}
	if out == nil {
		return "-"
	}
	return strings.Join(out, ",")
}

// compact shows a value as JSON on one line.
func compact(value any) string {
	text, err := json.Marshal(value)
	if err != nil || string(text) == "null" {
		return "-"
	}
	return string(text)
}
