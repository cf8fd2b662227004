package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"punctual/gen/client"
)

type attention struct {
	Globals `embed:""`
	Limit   int32 `group:"output" default:"50" help:"The maximum number of jobs of each problem, of queues and of connections; 1 to 200."`
	Watch   bool  `group:"output" short:"w" help:"Look again every 2 seconds, until Ctrl-C."`
}

// Run says what needs attention.
func (c *attention) Run(ctx context.Context, s *Session) error {
	return s.repeat(ctx, c.Watch, func() error {
		found, err := answer[client.Attention](s.GetAttention(ctx, &client.GetAttentionParams{Limit: &c.Limit}))
		if err != nil {
			return err
		}
		if s.Output == outJSON || s.Output == outYAML {
			return s.object(found)
		}
		all := troublesOf(found)
		if len(all) == 0 {
			return s.say("Nothing needs attention.")
		}
		if err := troubleTable.print(s, all); err != nil {
			return err
		}
		for _, of := range found.Jobs {
			if more := int(of.Count) - len(of.Items); more > 0 || of.CountIsCapped {
				fmt.Fprintf(s.Err, "%s: %d of %s jobs are shown.\n", of.Problem, len(of.Items), counted(of.Count, of.CountIsCapped))
			}
		}
		return nil
	})
}

// trouble is a line of what needs attention.
type trouble struct {
	problem, what, why string
	since              time.Time
}

// troublesOf returns the lines, in the order of the answer.
func troublesOf(found client.Attention) (all []trouble) {
	for _, of := range found.Jobs {
		for _, job := range of.Items {
			what := job.Id.String()
			if job.Key != nil {
				what = *job.Key
			}
			all = append(all, trouble{string(of.Problem), what, job.Reason, job.Since})
		}
	}
	for _, queue := range found.Queues {
		why := counted(queue.Waiting, queue.WaitingIsCapped) + " runs wait, and no worker asks for them"
		all = append(all, trouble{"UNATTENDED", "queue " + queue.Name, why, queue.Since})
	}
	for _, connection := range found.Connections {
		all = append(all, trouble{"DOWN", "connection " + connection.Key, orDash(connection.Reason), connection.Since})
	}
	return all
}

var troubleTable = table[trouble]{
	columns: []column[trouble]{
		{"PROBLEM", func(t trouble) string { return t.problem }},
		{"WHAT", func(t trouble) string { return t.what }},
		{"SINCE", func(t trouble) string { return when(&t.since) }},
		{"WHY", func(t trouble) string { return t.why }},
	},
	name: func(t trouble) string { return t.what },
}

// counted returns a number that may have been counted no further.
func counted(n int32, isCapped bool) string {
	return strconv.Itoa(int(n)) + map[bool]string{true: "+", false: ""}[isCapped]
}
