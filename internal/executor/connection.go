package executor

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Connection is a service that http targets call: where it is, and how requests prove who sends
// them. Its JSON is that of the contract, which says what the fields mean.
type Connection struct {
	ID        uuid.UUID `json:"-"`
	Namespace string    `json:"-"`
	Key       string    `json:"-"`
	// UpdatedAt tells one state of the connection from another.
	UpdatedAt time.Time `json:"-"`
	BaseURL   string    `json:"-"`

	Headers        map[string]string `json:"headers,omitempty"`
	SecretHeaders  map[string]string `json:"secretHeaders,omitempty"`
	SigningSecrets []string          `json:"signingSecrets,omitempty"`
	Auth           ConnectionAuth    `json:"auth,omitzero"`
	TLS            ConnectionTLS     `json:"tls,omitzero"`
	// PublicKeys are those of the signing secrets that are private keys.
	PublicKeys []string `json:"publicKeys,omitempty"`
	// IsAdaptive is whether all runs wait when a response says so.
	IsAdaptive bool `json:"-"`
}

// ConnectionAuth says how requests prove who sends them.
type ConnectionAuth struct {
	Type         AuthType `json:"type,omitempty"`
	Username     string   `json:"username,omitempty"`
	Password     string   `json:"password,omitempty"`
	Token        string   `json:"token,omitempty"`
	TokenURL     string   `json:"tokenUrl,omitempty"`
	ClientID     string   `json:"clientId,omitempty"`
	ClientSecret string   `json:"clientSecret,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	Audience     string   `json:"audience,omitempty"`
}

// AuthType is a way to prove who sends a request.
type AuthType string

// The ways, as the contract describes them.
const (
	AuthNone   AuthType = "none"
	AuthBasic  AuthType = "basic"
	AuthBearer AuthType = "bearer"
	AuthOAuth2 AuthType = "oauth2"
	AuthJWT    AuthType = "jwt"
)

// ConnectionTLS says what is trusted, and what the service shows. All but ServerName are PEM.
type ConnectionTLS struct {
	CA                string `json:"ca,omitempty"`
	ClientCertificate string `json:"clientCertificate,omitempty"`
	ClientKey         string `json:"clientKey,omitempty"`
	ServerName        string `json:"serverName,omitempty"`
}

// ErrNoConnection is the error for a connection that does not exist.
var ErrNoConnection = errors.New("there is no such connection")

// Connections knows connections with their secrets.
type Connections interface {
	// Connection returns a connection, which must not be changed, or ErrNoConnection. Another error
	// is for people to read, and quotes no secret.
	Connection(ctx context.Context, namespace, key string) (*Connection, error)
}

// ConnectionOf returns the key of the connection that a target calls, or an empty text.
func ConnectionOf(definition json.RawMessage) string {
	var target struct {
		Connection string `json:"connection"`
	}
	_ = json.Unmarshal(definition, &target) // what is no definition has no connection
	return target.Connection
}

var errPath = errors.New("must be a path without . and .. segments, and with at most one query")

// join returns the URL of a path and a query behind a base URL. It also refuses what some servers
// read as . and .. segments: behind an escaped slash or backslash, and before parameters ("..;a").
func join(base, path string) (string, error) {
	beforeQuery, _, _ := strings.Cut(path, "?")
	decoded, err := url.PathUnescape(beforeQuery)
	if err != nil {
		return "", errPath
	}
	isSeparator := func(c rune) bool { return c == '/' || c == '\\' }
	for segment := range strings.FieldsFuncSeq(decoded, isSeparator) {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return "", errPath
		}
	}
	if strings.ContainsAny(path, "#\\") || (path != "" && path[0] != '/') {
		return "", errPath
	}
	return strings.TrimSuffix(base, "/") + path, nil
}
