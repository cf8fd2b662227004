package ui

import (
	"fmt"
	"net/url"
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// resourceTypes are the kinds of things that the audit knows.
var resourceTypes = []client.ResourceType{
	client.ResourceTypeJOB, client.ResourceTypeRUN, client.ResourceTypeCONNECTION, client.ResourceTypeCALENDAR,
	client.ResourceTypeKEY, client.ResourceTypeNAMESPACE,
}

// listAudit shows who changed what.
func listAudit(p *page) error {
	query := p.URL.Query()
	from, err := p.instant("from", query.Get("from"))
	if err != nil {
		return err
	}
	to, err := p.instant("to", query.Get("to"))
	if err != nil {
		return err
	}
	list, err := answers.Of[client.AuditPage](p.ListAudit(p.Context(), &client.ListAuditParams{
		Cursor: p.cursor(), Limit: new(itemsOfPage), Actor: given(query.Get("actor")), Operation: given(query.Get("operation")),
		ResourceType: given(client.ResourceType(query.Get("resourceType"))), ResourceId: given(query.Get("resourceId")),
		From: from, To: to,
	}))
	if err != nil {
		return err
	}
	return p.show("Audit", auditPage(p, auditFilter{query, from, to}, list))
}

// changedPath is the page of what an entry is about.
func changedPath(e client.AuditEntry) string {
	id := url.PathEscape(e.ResourceId)
	switch e.ResourceType {
	case client.ResourceTypeJOB:
		return "/jobs/" + id
	case client.ResourceTypeRUN:
		return "/runs/" + id
	case client.ResourceTypeCONNECTION:
		return "/connections/" + id
	case client.ResourceTypeCALENDAR:
		return "/calendars/" + id
	case client.ResourceTypeKEY:
		return "/keys#key-" + id
	case client.ResourceTypeNAMESPACE:
		return "/namespaces/" + id
	default:
		return "/audit"
	}
}

// changeOf says in a line what came of an operation.
func changeOf(e client.AuditEntry) string {
	r := e.Result
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.Fields != nil && len(*r.Fields) > 0 {
		say("changed %s", strings.Join(*r.Fields, ", "))
	}
	if r.Action != nil {
		say("%s", strings.ToLower(string(*r.Action)))
	}
	if r.StatusReason != nil {
		say("“%s”", firstLine(*r.StatusReason))
	}
	if r.Version != nil {
		say("version %d", *r.Version)
	}
	if r.Runs != nil {
		say("%s", counted(int(*r.Runs), "run"))
	}
	if r.Scopes != nil {
		var names []string
		for _, scope := range *r.Scopes {
			names = append(names, string(scope))
		}
		say("may %s", strings.Join(names, ", "))
	}
	if r.Queues != nil {
		say("queues %s", strings.Join(*r.Queues, ", "))
	}
	if deref(r.IsServiceWide) {
		say("for all namespaces")
	}
	if deref(r.Deleted) {
		say("deleted after its completion")
	}
	return strings.Join(parts, "; ")
}
