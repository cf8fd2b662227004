package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.yaml.in/yaml/v3"

	"punctual/internal/crontab"
	"punctual/internal/jobfiles"
)

type crontabCmd struct {
	Import importCrontab `cmd:"" help:"Write the lines of a crontab as definitions for a worker that runs allowed commands."`
}

type importCrontab struct {
	File      string `arg:"" help:"The crontab. A dash is the standard input: crontab -l | punctual crontab import -"`
	System    bool   `help:"Each line names a user before its command, as in /etc/crontab."`
	TimeZone  string `placeholder:"ZONE" default:"UTC" help:"The time zone of the lines, unless the file sets CRON_TZ. Cron takes that of its machine. Default: UTC."`
	KeyPrefix string `placeholder:"TEXT" default:"crontab/" help:"What each key begins with. Default: crontab/."`
	Queue     string `placeholder:"QUEUE" default:"commands" help:"The queue of the worker. With --system, -USER is added. Default: commands."`
	Commands  string `placeholder:"FILE" help:"Write the list of allowed commands for the worker into this file. Read it before you use it."`
}

// Run writes definitions, and says of each line that cannot be taken over why.
func (c *importCrontab) Run(s *Console) error {
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		return usage("--time-zone: there is no time zone %q", c.TimeZone)
	}
	in := s.In
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	jobs, left, err := crontab.Read(in, crontab.Options{
		IsSystem: c.System, TimeZone: c.TimeZone, KeyPrefix: c.KeyPrefix, Queue: c.Queue,
	})
	if err != nil {
		return fmt.Errorf("read the crontab: %w", err)
	}
	if err := writeDefinitions(s.Out, jobs); err != nil {
		return err
	}
	if c.Commands != "" {
		if err := writeCommands(c.Commands, jobs); err != nil {
			return err
		}
	}
	for _, line := range left {
		fmt.Fprintf(s.Err, "%s:%d: left out: %s\n    %s\n", c.File, line.Line, line.Why, plain(line.Text))
	}
	if len(left) > 0 {
		return fmt.Errorf("jobs: %d; lines that are left out: %d", len(jobs), len(left))
	}
	return nil
}

// writeDefinitions writes jobs as a file in YAML.
func writeDefinitions(out io.Writer, jobs []crontab.Job) error {
	text, err := json.Marshal(map[string][]crontab.Job{"jobs": append([]crontab.Job{}, jobs...)})
	if err != nil {
		return err
	}
	node, err := jobfiles.FromJSON(text)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, schemaLine); err != nil {
		return err
	}
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	return errors.Join(encoder.Encode(node), encoder.Close())
}

// writeCommands writes the list of allowed commands. Each is a shell's, as with cron.
func writeCommands(path string, jobs []crontab.Job) error {
	commands := map[string][]string{}
	for _, job := range jobs {
		commands[job.Payload.Command] = []string{"/bin/sh", "-c", job.Command}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // people are to read it
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(commands); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o600)
}
