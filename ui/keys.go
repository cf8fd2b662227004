package ui

import (
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// scopes are what a key can be for, with what that means.
var scopes = []option{
	{string(client.ScopeJobsRead), "Read jobs, runs, queues, connections and calendars"},
	{string(client.ScopeJobsWrite), "Create, change and delete jobs and calendars"},
	{string(client.ScopeRunsWrite), "Start, retry and cancel runs"},
	{string(client.ScopeConnectionsWrite), "Create, change and delete connections"},
	{string(client.ScopeWorkers), "Serve queues as a worker"},
	{string(client.ScopeMetricsRead), "Read the metrics, with a key for all namespaces"},
	{string(client.ScopeAdmin), "Manage keys, read the audit, and what namespaces allow"},
}

// listKeys shows the keys of the namespace.
func listKeys(p *page) error { return p.showKeys(&form{}) }

func (p *page) showKeys(f *form) error {
	list, err := answers.Of[client.KeyPage](p.ListKeys(p.Context(), &client.ListKeysParams{Cursor: p.cursor(), Limit: new(itemsOfPage)}))
	if err != nil {
		return err
	}
	return p.show("Keys", keysPage(p, f, list))
}

// createKey creates a key and shows it. It is not stored for a next page, so there is no redirect;
// the key of the form keeps a repetition from making another one.
func createKey(p *page) error {
	f, err := p.readForm()
	if err != nil {
		return err
	}
	b := body{"scopes": f.Values["scopes"], "description": strings.TrimSpace(f.Get("description"))}
	if f.Values["scopes"] == nil {
		b["scopes"] = []string{}
	}
	b.setLines(f, "queues")
	b.setInstant(p, f, "expiresAt")
	b.setNumbers(f, "requestsPerSecond")
	if f.Get("isServiceWide") == "true" {
		b["isServiceWide"] = true
	}
	key, err := answers.Of[client.Key](p.CreateKeyWithBody(
		p.Context(), &client.CreateKeyParams{IdempotencyKey: p.once()}, jsonType, b.reader(),
	))
	if f.refused(p, err) {
		return p.showKeys(f)
	}
	if err != nil {
		return err
	}
	return p.show("Your new key", newKeyPage(p, key))
}

// revokeKey revokes a key.
func revokeKey(p *page) error {
	return p.acted("The key is revoked.", answers.Done(p.RevokeKey(p.Context(), p.PathValue("id"))))
}

// keyKind returns what a status of a key means.
func keyKind(status client.KeyStatus) kind {
	switch status {
	case client.KeyStatusACTIVE:
		return good
	case client.KeyStatusEXPIRED:
		return warning
	default:
		return quiet
	}
}

// scopeNames are the scopes of a key in a line.
func scopeNames(key client.Key) string {
	var names []string
	for _, scope := range key.Scopes {
		names = append(names, string(scope))
	}
	return strings.Join(names, ", ")
}
