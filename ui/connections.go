package ui

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// authTypes are the ways in which a connection proves who calls.
var authTypes = []option{
	{string(client.ConnectionAuthTypeNone), "Nothing"},
	{string(client.ConnectionAuthTypeBearer), "A token (bearer)"},
	{string(client.ConnectionAuthTypeBasic), "A user name and a password (basic)"},
	{string(client.ConnectionAuthTypeOauth2), "OAuth 2.0, client credentials"},
	{string(client.ConnectionAuthTypeJwt), "A token that the service signs (JWT)"},
}

// listConnections shows the connections of the namespace.
func listConnections(p *page) error {
	return p.showConnections(&form{Values: url.Values{"adaptive": {"true"}, "maxConcurrency": {"100"}}})
}

func (p *page) showConnections(f *form) error {
	list, err := answers.Of[client.ConnectionPage](p.ListConnections(p.Context(), &client.ListConnectionsParams{
		Cursor: p.cursor(), Limit: new(itemsOfPage),
	}))
	if err != nil {
		return err
	}
	return p.show("Connections", connectionsPage(p, f, list))
}

// showConnection shows a connection.
func showConnection(p *page) error {
	c, err := answers.Of[client.Connection](p.GetConnection(p.Context(), p.PathValue("key")))
	if err != nil {
		return err
	}
	return p.show("Connection "+c.Key, connectionPage(p, c))
}

// createConnection creates a connection.
func createConnection(p *page) error {
	f, err := p.readForm()
	if err != nil {
		return err
	}
	b := connectionBody(f)
	b["key"] = strings.TrimSpace(f.Get("key"))
	b.setNumbers(f, "maxPerSecond")
	c, err := answers.Of[client.Connection](p.CreateConnectionWithBody(
		p.Context(), &client.CreateConnectionParams{IdempotencyKey: p.once()}, jsonType, b.reader(),
	))
	if f.refused(p, err) {
		return p.showConnections(f)
	}
	if err != nil {
		return err
	}
	p.say("The connection is created.")
	return p.redirect("/connections/" + url.PathEscape(c.Key))
}

// editConnection shows the form for a change of a connection.
func editConnection(p *page) error {
	c, err := answers.Of[client.Connection](p.GetConnection(p.Context(), p.PathValue("key")))
	if err != nil {
		return err
	}
	return p.show("Edit "+c.Key, connectionEditPage(p, connectionForm(c), c))
}

// changeConnection takes that form. Secrets that are empty stay as they are.
func changeConnection(p *page) error {
	key := p.PathValue("key")
	f, err := p.readForm()
	if err != nil {
		return err
	}
	b := connectionBody(f)
	b.clearNumbers(f, "maxPerSecond")
	err = answers.Done(p.UpdateConnectionWithBody(p.Context(), key, jsonType, b.reader()))
	if f.refused(p, err) {
		c, err := answers.Of[client.Connection](p.GetConnection(p.Context(), key))
		if err != nil {
			return err
		}
		return p.show("Edit "+key, connectionEditPage(p, f, c))
	}
	if err != nil {
		return err
	}
	p.say("The connection is changed.")
	return p.redirect("/connections/" + url.PathEscape(key))
}

// deleteConnection deletes a connection.
func deleteConnection(p *page) error {
	err := answers.Done(p.DeleteConnection(p.Context(), p.PathValue("key")))
	if err != nil {
		return p.acted("", err)
	}
	p.say("The connection is deleted.")
	return p.redirect("/connections")
}

// authFields are the fields of each way to prove who calls, without its secrets.
var authFields = map[client.ConnectionAuthType][]string{
	client.ConnectionAuthTypeBasic:  {"username", "password"},
	client.ConnectionAuthTypeBearer: {"token"},
	client.ConnectionAuthTypeOauth2: {"tokenUrl", "clientId", "clientSecret", "audience"},
	client.ConnectionAuthTypeJwt:    {"audience"},
}

// connectionBody is what a form says of a connection.
func connectionBody(f *form) body {
	kind := client.ConnectionAuthType(f.Get("auth.type"))
	auth := body{"type": kind}
	for _, name := range authFields[kind] {
		if value := strings.TrimSpace(f.Get("auth." + name)); value != "" {
			auth[name] = value
		}
	}
	if scopes := strings.Fields(f.Get("auth.scopes")); kind == client.ConnectionAuthTypeOauth2 && len(scopes) > 0 {
		auth["scopes"] = scopes
	}
	tls := body{}
	for _, name := range []string{"ca", "clientCertificate", "clientKey", "serverName"} {
		if value := strings.TrimSpace(f.Get("tls." + name)); value != "" {
			tls[name] = value
		}
	}
	b := body{
		"baseUrl": strings.TrimSpace(f.Get("baseUrl")), "auth": auth, "tls": tls, "headers": headersOf(f.Get("headers")),
		"adaptive": f.Get("adaptive") == "true",
	}
	b.setNumbers(f, "maxConcurrency")
	b.setLines(f, "signingSecrets")
	if secret := headersOf(f.Get("secretHeaders")); len(secret) > 0 {
		b["secretHeaders"] = secret
	}
	return b
}

// connectionForm is the form for a change of a connection. Secrets are not in it.
func connectionForm(c client.Connection) *form {
	values := url.Values{}
	set := func(name string, value *string) {
		if value != nil {
			values.Set(name, *value)
		}
	}
	set("baseUrl", &c.BaseUrl)
	values.Set("auth.type", string(c.Auth.Type))
	set("auth.username", c.Auth.Username)
	set("auth.tokenUrl", c.Auth.TokenUrl)
	set("auth.clientId", c.Auth.ClientId)
	set("auth.audience", c.Auth.Audience)
	values.Set("auth.scopes", strings.Join(deref(c.Auth.Scopes), " "))
	set("tls.ca", c.Tls.Ca)
	set("tls.clientCertificate", c.Tls.ClientCertificate)
	set("tls.serverName", c.Tls.ServerName)
	values.Set("headers", strings.Join(headerLines(c), "\n"))
	values.Set("maxConcurrency", strconv.Itoa(int(c.MaxConcurrency)))
	if c.MaxPerSecond != nil {
		values.Set("maxPerSecond", strconv.Itoa(int(*c.MaxPerSecond)))
	}
	values.Set("adaptive", strconv.FormatBool(c.Adaptive))
	return &form{Values: values}
}

// headerLines are the headers of a connection, one a line.
func headerLines(c client.Connection) (lines []string) {
	for name, value := range c.Headers {
		lines = append(lines, name+": "+value)
	}
	slices.Sort(lines)
	return lines
}

// connectionKind returns what the state of a connection means.
func connectionKind(state client.ConnectionState) kind {
	switch state {
	case client.ConnectionStateUP:
		return good
	case client.ConnectionStateSLOWED:
		return warning
	default:
		return bad
	}
}

// authLabel is what a way to prove who calls is called.
func authLabel(kind client.ConnectionAuthType) string {
	for _, o := range authTypes {
		if o.value == string(kind) {
			return o.label
		}
	}
	return string(kind)
}

// limitsOf are the limits of a connection in a line.
func limitsOf(c client.Connection) string {
	text := strconv.Itoa(int(c.MaxConcurrency)) + " at a time"
	if c.MaxPerSecond != nil {
		text += ", " + strconv.Itoa(int(*c.MaxPerSecond)) + " a second"
	}
	return text
}
