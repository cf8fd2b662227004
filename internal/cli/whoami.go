package cli

import (
	"context"
	"strconv"
	"strings"

	"punctual/gen/client"
)

type whoami struct {
	Globals `embed:""`
}

// Run shows who the service takes the user for, and what they may do.
func (c *whoami) Run(ctx context.Context, s *Session) error {
	caller, err := answer[client.Caller](s.GetCaller(ctx))
	if err != nil {
		return err
	}
	return callers.show(s, []client.Caller{caller})
}

var callers = table[client.Caller]{
	columns: []column[client.Caller]{
		{"Actor", callerName},
		{"Namespace", func(c client.Caller) string { return c.Namespace }},
		{"Service-wide", func(c client.Caller) string { return strconv.FormatBool(c.IsServiceWide) }},
		{"Scopes", func(c client.Caller) string {
			names := make([]string, len(c.Scopes))
			for i, scope := range c.Scopes {
				names[i] = string(scope)
			}
			return strings.Join(names, ",")
		}},
		{"Queues", func(c client.Caller) string {
			if c.Queues == nil {
				return "all"
			}
			return strings.Join(*c.Queues, ",")
		}},
	},
	name: callerName,
}

func callerName(c client.Caller) string { return c.Actor }
