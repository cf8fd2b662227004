package ui

import (
	"strings"

	"punctual/gen/client"
)

// htmxConfig switches off what the policy of pages forbids, and what they do not use. What somebody
// has opened stays open when a part of a page is replaced.
const htmxConfig = `{"extensions":"sse","includeIndicatorCSS":false,"history":"reload","mode":"same-origin","morphIgnore":["data-htmx-powered","open"]}`

// entry is a page that the navigation has.
type entry struct {
	path, label string
	// key opens it, after g.
	key string
	// scope is what a caller needs. Empty: any.
	scope client.Scope
	// isServiceWide says that only callers who are not bound to a namespace may see it.
	isServiceWide bool
}

// entries are the pages of the navigation, in its order.
var entries = []entry{
	{path: "/", label: "Home", key: "h"},
	{path: "/jobs", label: "Jobs", key: "j", scope: client.ScopeJobsRead},
	{path: "/runs", label: "Runs", key: "r", scope: client.ScopeJobsRead},
	{path: "/queues", label: "Queues", key: "q", scope: client.ScopeJobsRead},
	{path: "/connections", label: "Connections", key: "c", scope: client.ScopeJobsRead},
	{path: "/calendars", label: "Calendars", key: "d", scope: client.ScopeJobsRead},
	{path: "/keys", label: "Keys", key: "k", scope: client.ScopeAdmin},
	{path: "/audit", label: "Audit", key: "a", scope: client.ScopeAdmin},
	{path: "/namespaces", label: "Namespaces", key: "n", scope: client.ScopeAdmin},
	{path: "/instances", label: "Instances", key: "i", scope: client.ScopeJobsRead, isServiceWide: true},
}

// navigation returns the pages that the caller may see.
func (p *page) navigation() (shown []entry) {
	for _, e := range entries {
		if (e.scope == "" || p.can(e.scope)) && (!e.isServiceWide || p.caller.IsServiceWide) {
			shown = append(shown, e)
		}
	}
	return shown
}

// current is the value of aria-current: whether the page is this one, or one below it.
func (e entry) current(p *page) string {
	if p.URL.Path == e.path {
		return "page"
	}
	if e.path != "/" && strings.HasPrefix(p.URL.Path, e.path+"/") {
		return "true"
	}
	return "false"
}
