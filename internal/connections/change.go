package connections

import (
	"slices"

	"punctual/internal/executor"
	"punctual/internal/jobs"
)

// Change is what a request says of a connection: of a new one, or of one that is to be changed. Its
// JSON is that of the contract's ConnectionCreate and ConnectionUpdate, which bound each field.
type Change struct {
	// Key is only for a new one.
	Key            string                                 `json:"key"`
	BaseURL        jobs.Optional[string]                  `json:"baseUrl"`
	Headers        jobs.Optional[map[string]string]       `json:"headers"`
	SecretHeaders  jobs.Optional[map[string]string]       `json:"secretHeaders"`
	SigningSecrets jobs.Optional[[]string]                `json:"signingSecrets"`
	Auth           jobs.Optional[executor.ConnectionAuth] `json:"auth"`
	TLS            jobs.Optional[executor.ConnectionTLS]  `json:"tls"`
	MaxConcurrency jobs.Optional[int32]                   `json:"maxConcurrency"`
	MaxPerSecond   jobs.Optional[*int32]                  `json:"maxPerSecond"`
	IsAdaptive     jobs.Optional[bool]                    `json:"adaptive"`
}

// Limits are how much a connection can take.
type Limits struct {
	MaxConcurrency int32
	MaxPerSecond   *int32
}

// connection is a connection while it is changed, secrets included.
type connection struct {
	executor.Connection
	Limits
}

// newConnection is what a new connection has that a request does not say.
func newConnection() connection {
	return connection{
		Connection: executor.Connection{Auth: executor.ConnectionAuth{Type: executor.AuthNone}, IsAdaptive: true},
		Limits:     Limits{MaxConcurrency: 100},
	}
}

// applyTo returns a connection with the fields that the change gives. Secrets that it does not give
// stay: those of the authentication while its type stays, and the key of a certificate.
func (c *Change) applyTo(before connection) connection {
	after := before
	jobs.Set(&after.BaseURL, c.BaseURL)
	jobs.Set(&after.Headers, c.Headers)
	jobs.Set(&after.SecretHeaders, c.SecretHeaders)
	jobs.Set(&after.SigningSecrets, c.SigningSecrets)
	if c.Auth.IsGiven {
		after.Auth = c.Auth.Value
		if old := before.Auth; after.Auth.Type == old.Type {
			keep(&after.Auth.Password, old.Password)
			keep(&after.Auth.Token, old.Token)
			keep(&after.Auth.ClientSecret, old.ClientSecret)
		}
	}
	if c.TLS.IsGiven {
		if after.TLS = c.TLS.Value; after.TLS.ClientCertificate != "" {
			keep(&after.TLS.ClientKey, before.TLS.ClientKey)
		}
	}
	jobs.Set(&after.MaxConcurrency, c.MaxConcurrency)
	jobs.Set(&after.MaxPerSecond, c.MaxPerSecond)
	jobs.Set(&after.IsAdaptive, c.IsAdaptive)
	return after
}

func keep(field *string, before string) {
	if *field == "" {
		*field = before
	}
}

// fields returns the names in the contract of the fields that the change gives.
func (c *Change) fields() []string {
	names := []string{}
	for name, isGiven := range map[string]bool{
		"key": c.Key != "", "baseUrl": c.BaseURL.IsGiven, "headers": c.Headers.IsGiven, "secretHeaders": c.SecretHeaders.IsGiven,
		"signingSecrets": c.SigningSecrets.IsGiven, "auth": c.Auth.IsGiven, "tls": c.TLS.IsGiven,
		"maxConcurrency": c.MaxConcurrency.IsGiven, "maxPerSecond": c.MaxPerSecond.IsGiven, "adaptive": c.IsAdaptive.IsGiven,
	} {
		if isGiven {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
