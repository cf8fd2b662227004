package ui

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// namespaceLimits are the limits of a namespace, as the API names them. An empty one is no limit.
var namespaceLimits = []string{"maxJobs", "minIntervalSeconds", "requestsPerSecond", "runRetentionDays"}

// listNamespaces shows the namespaces that the caller may see.
func listNamespaces(p *page) error { return p.showNamespaces(&form{}) }

func (p *page) showNamespaces(f *form) error {
	list, err := answers.Of[client.NamespacePage](p.ListNamespaces(p.Context(), &client.ListNamespacesParams{
		Cursor: p.cursor(), Limit: new(itemsOfPage),
	}))
	if err != nil {
		return err
	}
	return p.show("Namespaces", namespacesPage(p, f, list))
}

// maxChoices is how many namespaces are offered to whoever wants to go to another one.
const maxChoices = 500

// offerNamespaces answers the names of the namespaces that the caller may go to, for the field in
// the header.
func offerNamespaces(p *page) error {
	list, err := answers.Of[client.NamespacePage](p.ListNamespaces(p.Context(), &client.ListNamespacesParams{Limit: new(int32(maxChoices))}))
	if err != nil {
		return err
	}
	return p.showPart(namespaceChoices(list.Items))
}

// createNamespace creates a namespace.
func createNamespace(p *page) error {
	f, err := p.readForm()
	if err != nil {
		return err
	}
	b := body{"name": strings.TrimSpace(f.Get("name"))}
	b.setText(f, "description")
	b.setNumbers(f, namespaceLimits...)
	n, err := answers.Of[client.Namespace](p.CreateNamespaceWithBody(
		p.Context(), &client.CreateNamespaceParams{IdempotencyKey: p.once()}, jsonType, b.reader(),
	))
	if f.refused(p, err) {
		return p.showNamespaces(f)
	}
	if err != nil {
		return err
	}
	p.say("The namespace is created.")
	return p.redirect(namespacePath(n.Name))
}

func namespacePath(name string) string { return "/namespaces/" + url.PathEscape(name) }

// showNamespace shows a namespace, and the forms that change it.
func showNamespace(p *page) error { return p.showNamespaceWith(nil, &form{}) }

// showNamespaceWith shows its forms as they were sent. Without limits, it shows those that are
// stored.
func (p *page) showNamespaceWith(limits, blackout *form) error {
	n, err := answers.Of[client.Namespace](p.GetNamespace(p.Context(), p.PathValue("name")))
	if err != nil {
		return err
	}
	if limits == nil {
		limits = namespaceForm(n)
	}
	return p.show("Namespace "+n.Name, namespacePage(p, limits, blackout, n))
}

// changeNamespace takes one of these forms.
func changeNamespace(p *page) error {
	f, err := p.readForm()
	if err != nil {
		return err
	}
	b := body{"description": strings.TrimSpace(f.Get("description"))}
	b.clearNumbers(f, namespaceLimits...)
	return p.updateNamespace(f, b, "The namespace is changed.", func() error { return p.showNamespaceWith(f, &form{}) })
}

// suspendNamespace suspends a namespace, or resumes it.
func suspendNamespace(p *page) error {
	isSuspended := p.PostFormValue("suspended") == "true"
	done := "The namespace is resumed. Its jobs go on shortly."
	if isSuspended {
		done = "The namespace is suspended. Its jobs pause shortly."
	}
	return p.acted(done, answers.Done(p.UpdateNamespace(p.Context(), p.PathValue("name"), client.NamespaceUpdate{Suspended: &isSuspended})))
}

// changeBlackouts adds a blackout, or removes one.
func changeBlackouts(p *page) error {
	f, err := p.readForm()
	if err != nil {
		return err
	}
	n, err := answers.Of[client.Namespace](p.GetNamespace(p.Context(), p.PathValue("name")))
	if err != nil {
		return err
	}
	blackouts := []any{}
	for _, b := range n.Blackouts {
		if f.Get("remove") != blackoutID(b) {
			blackouts = append(blackouts, b)
		}
	}
	if !f.Has("remove") {
		added := body{}
		added.setInstant(p, f, "from")
		added.setInstant(p, f, "to")
		added.setText(f, "reason")
		blackouts = append(blackouts, added)
	}
	return p.updateNamespace(f, body{"blackouts": blackouts}, "The blackouts are changed.", func() error { return p.showNamespaceWith(nil, f) })
}

// updateNamespace sends a change. A form that is refused is shown again.
func (p *page) updateNamespace(f *form, b body, done string, again func() error) error {
	name := p.PathValue("name")
	err := answers.Done(p.UpdateNamespaceWithBody(p.Context(), name, jsonType, b.reader()))
	if f.refused(p, err) {
		return again()
	}
	if err != nil {
		return err
	}
	p.say(done)
	return p.redirect(namespacePath(name))
}

// deleteNamespace deletes a namespace.
func deleteNamespace(p *page) error {
	name := p.PathValue("name")
	if err := answers.Done(p.DeleteNamespace(p.Context(), name)); err != nil {
		return p.acted("", err)
	}
	if p.prefers.namespace == name {
		p.setCookie(namespaceCookie, "", 0)
	}
	p.say("The namespace is deleted.")
	return p.redirect("/namespaces")
}

// blackoutID tells a blackout from the others of its namespace.
func blackoutID(b client.Blackout) string {
	return b.From.UTC().Format(time.RFC3339Nano) + "/" + b.To.UTC().Format(time.RFC3339Nano)
}

// namespaceForm is the form for a change of a namespace.
func namespaceForm(n client.Namespace) *form {
	values := url.Values{"description": {n.Description}}
	for i, limit := range []*int32{n.MaxJobs, n.MinIntervalSeconds, n.RequestsPerSecond, n.RunRetentionDays} {
		if limit != nil {
			values.Set(namespaceLimits[i], strconv.Itoa(int(*limit)))
		}
	}
	return &form{Values: values}
}

// limitsOfNamespace are the limits of a namespace in words.
func limitsOfNamespace(n client.Namespace) string {
	var parts []string
	for _, limit := range []struct {
		value      *int32
		text, unit string
	}{
		{n.MaxJobs, "at most ", " jobs"},
		{n.MinIntervalSeconds, "every ", " s at most"},
		{n.RequestsPerSecond, "", " requests a second"},
		{n.RunRetentionDays, "runs kept ", " days"},
	} {
		if limit.value != nil {
			parts = append(parts, limit.text+strconv.Itoa(int(*limit.value))+limit.unit)
		}
	}
	return orDash(strings.Join(parts, ", "))
}
