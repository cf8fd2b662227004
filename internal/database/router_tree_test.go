package database_test

import (
	"regexp"
	"strings"
)

// node is a node of a statement that PostgreSQL has parsed, as it stores the bodies of functions:
// {KIND :field value ..}.
type node struct {
	kind   string
	fields string
	inner  []*node
}

// parseTree returns the outermost nodes of a text.
func parseTree(text string) (all []*node) {
	var open []*node
	var starts []int
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '\\': // what follows is a part of a name
			at++
		case '{':
			n := &node{kind: text[at+1 : at+1+strings.IndexAny(text[at+1:], " }")]}
			if len(open) == 0 {
				all = append(all, n)
			} else {
				outer := open[len(open)-1]
				outer.inner = append(outer.inner, n)
			}
			open, starts = append(open, n), append(starts, at+1)
		case '}':
			last := len(open) - 1
			open[last].fields = text[starts[last]:at]
			open, starts = open[:last], starts[:last]
		}
	}
	return all
}

// each calls visit for the node and what is in it, as long as visit returns true.
func (n *node) each(visit func(*node) bool) {
	if !visit(n) {
		return
	}
	for _, inner := range n.inner {
		inner.each(visit)
	}
}

// has reports whether there is a node of a kind in this one.
func (n *node) has(kind string) (has bool) {
	n.each(func(inner *node) bool {
		has = has || inner.kind == kind
		return !has
	})
	return has
}

var (
	commandOf  = regexp.MustCompile(`^QUERY :commandType (\d)`)
	functionOf = regexp.MustCompile(`:(?:funcid|opfuncid) (\d+)`)
)

// The commands of queries.
const (
	selects = "1"
	inserts = "3"
)

// command returns what a query does. Other nodes do nothing.
func (n *node) command() string {
	if found := commandOf.FindStringSubmatch(n.fields); found != nil {
		return found[1]
	}
	return selects
}

// function returns the oid of the function that a node calls, or nothing.
func (n *node) function() string {
	if n.kind != "FUNCEXPR" && n.kind != "OPEXPR" {
		return ""
	}
	return functionOf.FindStringSubmatch(n.fields)[1]
}

// isChoice reports whether a node computes one of several values. PostgreSQL 16 has other names.
func (n *node) isChoice() bool {
	return strings.HasPrefix(n.kind, "COALESCE") || n.kind == "CASE" || n.kind == "CASEEXPR"
}

// unroutable returns why Citus does not send a statement to one node as it is, by the rules of its
// planner (multi_router_planner.c). mutable has the functions whose result may change.
func (n *node) unroutable(mutable map[string]string) (why []string) {
	n.each(func(query *node) bool {
		if query.kind == "QUERY" {
			for _, part := range query.inner {
				why = append(why, part.unroutableIn(query.command(), mutable)...)
			}
		}
		return true
	})
	return why
}

// unroutableIn is unroutable for a part of a query.
func (n *node) unroutableIn(command string, mutable map[string]string) (why []string) {
	switch {
	case n.kind == "COMMONTABLEEXPR" && n.inner[0].command() == inserts:
		return []string{"a common table expression inserts"}
	case command == selects || n.kind != "TARGETENTRY" && n.kind != "FROMEXPR":
		return nil
	}
	n.each(func(part *node) bool {
		switch name, isMutable := mutable[part.function()]; {
		case part.kind == "QUERY":
			return false
		case part.isChoice():
			part.each(func(inner *node) bool {
				if name, isMutable := mutable[inner.function()]; isMutable {
					why = append(why, name+" is called in case or coalesce")
				}
				return inner.kind != "QUERY"
			})
			return false
		case isMutable && command != inserts && part.has("VAR"):
			why = append(why, name+" is called with a column")
		}
		return true
	})
	return why
}
