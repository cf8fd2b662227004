// Package crontab turns the lines of a crontab into definitions of jobs for a worker that runs
// commands which its operator has allowed.
package crontab

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"

	"punctual/internal/schedule"
)

// Options say how a crontab is read.
type Options struct {
	// IsSystem says that each line names a user before its command, as in /etc/crontab.
	IsSystem bool
	// TimeZone is the zone of the lines before any CRON_TZ.
	TimeZone string
	// KeyPrefix is what each key begins with.
	KeyPrefix string
	// Queue is the queue of the worker. With IsSystem, the user's name is added.
	Queue string
}

// Job is the definition of a job, with the field names of the contract.
type Job struct {
	Key                    string            `json:"key"`
	Name                   string            `json:"name"`
	Labels                 map[string]string `json:"labels"`
	Payload                Payload           `json:"payload"`
	Target                 Target            `json:"target"`
	Cron                   string            `json:"cron"`
	TimeZone               string            `json:"timeZone"`
	MaxAttempts            int               `json:"maxAttempts"`
	AttemptDeadlineSeconds int               `json:"attemptDeadlineSeconds"`

	// Command is the command line, which the worker's list of allowed commands gets.
	Command string `json:"-"`
}

// Payload names a command of the worker's list. It is no command itself: who can change a job could
// run anything.
type Payload struct {
	Command string `json:"command"`
}

// Target is the worker's queue.
type Target struct {
	Type  string `json:"type"`
	Queue string `json:"queue"`
}

// LeftOut is a line that cannot be taken over, and why.
type LeftOut struct {
	Line int
	Text string
	Why  string
}

var (
	assignment = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)
	fields     = regexp.MustCompile(`^((?:\S+\s+){4}\S+)\s+(.+)$`)
	shortForm  = regexp.MustCompile(`^(@[a-z]+)\s+(.+)$`)
	userColumn = regexp.MustCompile(`^(\S+)\s+(.+)$`)
	// directory is where a command line goes first.
	directory = regexp.MustCompile(`^cd\s+\S+\s*(&&|;)\s*`)
	notInName = regexp.MustCompile(`[^a-z0-9._-]+`)
)

// longForms are short forms that Punctual has under another name.
var longForms = map[string]string{"@midnight": "@daily", "@annually": "@yearly"}

// Read reads a crontab. Cron does not repeat what has failed and sets no limit of time, so the jobs
// have one attempt, with the longest deadline that there is.
func Read(in io.Reader, o Options) (jobs []Job, left []LeftOut, err error) {
	r := reader{Options: o, names: map[string]int{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		job, why := r.line(text)
		switch {
		case why != "":
			left = append(left, LeftOut{n, text, why})
		case job != nil:
			jobs = append(jobs, *job)
		}
	}
	return jobs, left, lines.Err()
}

type reader struct {
	Options
	// names counts how often a name was wanted.
	names map[string]int
}

// line returns the job of a line, or why there is none. A line that sets the time zone has neither.
func (r *reader) line(text string) (job *Job, why string) {
	if set := assignment.FindStringSubmatch(text); set != nil {
		return nil, r.variable(set[1], strings.Trim(set[2], `"'`))
	}
	var expression, command string
	if short := shortForm.FindStringSubmatch(text); short != nil {
		expression, command = short[1], short[2]
	} else if long := fields.FindStringSubmatch(text); long != nil {
		expression, command = strings.Join(strings.Fields(long[1]), " "), long[2]
	} else {
		return nil, "it is neither a variable nor a schedule with a command"
	}
	if expression == "@reboot" {
		return nil, "a job has no start of a machine to be due at"
	}
	if long, isOther := longForms[expression]; isOther {
		expression = long
	}
	if _, err := schedule.ParseCron(expression, time.UTC, 0); err != nil {
		return nil, err.Error()
	}
	queue := r.Queue
	if r.IsSystem {
		column := userColumn.FindStringSubmatch(command)
		if column == nil {
			return nil, "it has a user and no command, or a command and no user"
		}
		command = column[2]
		queue += "-" + column[1]
	}
	command, hasInput := unescape(command)
	if hasInput {
		return nil, "its command gets lines on its standard input after a %; put it into a script"
	}
	name := r.name(command)
	return &Job{
		Key: r.KeyPrefix + name, Name: name, Labels: map[string]string{"from": "crontab"}, Payload: Payload{name},
		Target: Target{"worker", queue}, Cron: expression, TimeZone: r.TimeZone, MaxAttempts: 1, AttemptDeadlineSeconds: 86400,
		Command: command,
	}, ""
}

// variable takes over a time zone. It returns why another variable is not taken over.
func (r *reader) variable(name, value string) (why string) {
	switch name {
	case "CRON_TZ", "TZ":
		if _, err := time.LoadLocation(value); err != nil || value == "" || value == "Local" {
			return "there is no such time zone"
		}
		r.TimeZone = value
		return ""
	case "MAILTO", "MAILFROM":
		if value == "" {
			return ""
		}
		return "nobody gets mail: the output is with the run"
	default:
		return "set it in the environment of the worker"
	}
}

// unescape returns a command without the backslashes before percent signs, and reports whether it
// has a percent sign without one, which begins the standard input.
func unescape(command string) (text string, hasInput bool) {
	hasInput = strings.Contains(strings.ReplaceAll(command, `\%`, ""), "%")
	return strings.ReplaceAll(command, `\%`, "%"), hasInput
}

// name returns a name for a command: that of its program, and a number if there is another one.
func (r *reader) name(command string) string {
	name := "command"
	for word := range strings.FieldsSeq(directory.ReplaceAllString(command, "")) {
		if assignment.MatchString(word) { // a variable before the program
			continue
		}
		base := path.Base(word)
		base = strings.TrimSuffix(base, path.Ext(base))
		if base = strings.Trim(notInName.ReplaceAllString(strings.ToLower(base), "-"), "._-"); base != "" {
			name = base[:min(len(base), 60)]
		}
		break
	}
	r.names[name]++
	if n := r.names[name]; n > 1 {
		numbered := fmt.Sprintf("%s-%d", name, n)
		if r.names[numbered] > 0 {
			return r.name(numbered)
		}
		r.names[numbered]++
		return numbered
	}
	return name
}
