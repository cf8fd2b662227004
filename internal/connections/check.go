package connections

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"slices"

	"punctual/internal/executor"
	"punctual/internal/jobs"
)

// check returns the fields in which a connection is wrong that the contract cannot say.
func (s *Service) check(c *connection) (wrong []jobs.Field) {
	wrong = append(wrong, checkAuth(&c.Auth)...)
	wrong = append(wrong, checkTLS(&c.TLS)...)
	for _, fault := range s.Checker.CheckConnection(&c.Connection) {
		wrong = append(wrong, jobs.Field{Name: fault.Field, Code: jobs.Code(fault.Code), Detail: fault.Detail})
	}
	return wrong
}

// authFields says which fields each way to authenticate needs, and which it may have besides.
var authFields = map[executor.AuthType]struct{ needed, allowed []string }{
	executor.AuthNone:   {},
	executor.AuthBasic:  {needed: []string{"username"}, allowed: []string{"password"}},
	executor.AuthBearer: {needed: []string{"token"}},
	executor.AuthOAuth2: {needed: []string{"tokenUrl", "clientId", "clientSecret"}, allowed: []string{"scopes", "audience"}},
	executor.AuthJWT:    {allowed: []string{"audience"}},
}

// checkAuth returns the fields that a way to authenticate lacks, or that belong to another one.
func checkAuth(auth *executor.ConnectionAuth) (wrong []jobs.Field) {
	of := authFields[auth.Type]
	isIncomplete := false
	for _, field := range []struct {
		name    string
		isGiven bool
	}{
		{"username", auth.Username != ""},
		{"password", auth.Password != ""},
		{"token", auth.Token != ""},
		{"tokenUrl", auth.TokenURL != ""},
		{"clientId", auth.ClientID != ""},
		{"clientSecret", auth.ClientSecret != ""},
		{"scopes", len(auth.Scopes) > 0},
		{"audience", auth.Audience != ""},
	} {
		isNeeded, isAllowed := slices.Contains(of.needed, field.name), slices.Contains(of.allowed, field.name)
		switch {
		case isNeeded && !field.isGiven:
			isIncomplete = true
			wrong = append(wrong, jobs.Field{Name: "auth." + field.name, Code: jobs.Required, Detail: "must be given with the type " + string(auth.Type)})
		case field.isGiven && !isNeeded && !isAllowed:
			wrong = append(wrong, jobs.Field{Name: "auth." + field.name, Code: jobs.Conflicting, Detail: "cannot be given with the type " + string(auth.Type)})
		}
	}
	if isIncomplete {
		wrong = append(wrong, jobs.Field{Name: "auth.type", Code: jobs.Conflicting, Detail: "needs fields that are not given"})
	}
	return wrong
}

// checkTLS returns the fields that are no certificates, or no pair.
func checkTLS(t *executor.ConnectionTLS) (wrong []jobs.Field) {
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		wrong = append(wrong, jobs.Field{Name: "tls.ca", Code: jobs.WrongFormat, Detail: "has no certificate in PEM"})
	}
	switch {
	case t.ClientCertificate == "" && t.ClientKey == "":
	case t.ClientCertificate == "" || t.ClientKey == "":
		for _, name := range []string{"tls.clientCertificate", "tls.clientKey"} {
			wrong = append(wrong, jobs.Field{Name: name, Code: jobs.Required, Detail: "clientCertificate and clientKey must be given together"})
		}
	default:
		if _, err := tls.X509KeyPair([]byte(t.ClientCertificate), []byte(t.ClientKey)); err != nil { // err might quote the key
			wrong = append(wrong, jobs.Field{
				Name: "tls.clientCertificate", Code: jobs.WrongFormat, Detail: "is not a certificate in PEM that belongs to clientKey",
			})
		}
	}
	return wrong
}

// checkKept returns the secrets that a change leaves out and that would go elsewhere with it. What
// goes to the host of the base URL stays while that stays; the secret of an OAuth client also needs
// its token endpoint, because the token that it gets goes to the base URL. Another certificate that
// is trusted may be that of somebody on the way to the host.
func (c *Change) checkKept(before, after *connection) (wrong []jobs.Field) {
	moved := isMoved(before, after) || before.TLS.CA != after.TLS.CA || before.TLS.ServerName != after.TLS.ServerName
	tokensMoved := origin(before.Auth.TokenURL) != origin(after.Auth.TokenURL)
	for _, secret := range []struct {
		name           string
		isKept, isGone bool // it stays as it was; it would go elsewhere
	}{
		{"secretHeaders", len(after.SecretHeaders) > 0 && !c.SecretHeaders.IsGiven, moved},
		{"signingSecrets", len(after.SigningSecrets) > 0 && !c.SigningSecrets.IsGiven, moved},
		{"auth.password", after.Auth.Password != "" && c.Auth.Value.Password == "", moved},
		{"auth.token", after.Auth.Token != "" && c.Auth.Value.Token == "", moved},
		{"auth.clientSecret", after.Auth.ClientSecret != "" && c.Auth.Value.ClientSecret == "", moved || tokensMoved},
		{"tls.clientKey", after.TLS.ClientKey != "" && c.TLS.Value.ClientKey == "", moved},
	} {
		if secret.isKept && secret.isGone {
			wrong = append(wrong, jobs.Field{
				Name: secret.name, Code: jobs.SecretRequired, Detail: "must be sent again, because it would go to another host, or to one that is trusted for another certificate",
			})
		}
	}
	return wrong
}

// isMoved reports whether requests would go elsewhere.
func isMoved(before, after *connection) bool { return origin(before.BaseURL) != origin(after.BaseURL) }

// origin returns the scheme, the host and the port of a URL.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
