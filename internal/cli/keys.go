package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"punctual/gen/client"
)

// NewKey is a key to create.
type NewKey struct {
	Description   string
	Scopes        []string
	Queues        []string
	IsServiceWide bool
	// ExpiresAt is nil if the key can be used until it is revoked.
	ExpiresAt *time.Time
}

// CreateKey creates a key over the API. As a table, it prints nothing but the key, so that a script
// can store it.
func (s *Session) CreateKey(ctx context.Context, k NewKey) error {
	request := client.KeyCreate{
		Description: k.Description, IsServiceWide: &k.IsServiceWide, Queues: someOf(k.Queues), ExpiresAt: k.ExpiresAt,
	}
	for _, scope := range k.Scopes {
		request.Scopes = append(request.Scopes, client.Scope(scope))
	}
	created, err := answer[client.Key](s.Client.CreateKey(ctx, nil, request))
	if err != nil {
		return err
	}
	if s.Output == outJSON || s.Output == outYAML {
		return s.object(created)
	}
	fmt.Fprintf(s.Err, "This is the key %s. It cannot be shown again.\n", created.Id)
	_, err = fmt.Fprintln(s.Out, *created.Key)
	return err
}

// ListKeys lists the keys over the API.
func (s *Session) ListKeys(ctx context.Context, f ListFlags) error {
	return keyTable.list(ctx, s, f, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.Client.ListKeys(ctx, &client.ListKeysParams{Cursor: cursor, Limit: limit})
	})
}

// RevokeKey revokes a key over the API.
func (s *Session) RevokeKey(ctx context.Context, id string) error {
	if err := done(s.Client.RevokeKey(ctx, id)); err != nil {
		return err
	}
	return s.say("Revoked: the key %s.", id)
}

var keyTable = table[client.Key]{
	columns: []column[client.Key]{
		{"ID", keyName},
		{"NAMESPACE", func(k client.Key) string {
			if k.Namespace == nil {
				return "*" // all
			}
			return *k.Namespace
		}},
		{"STATUS", func(k client.Key) string { return string(k.Status) }},
		{"SCOPES", func(k client.Key) string {
			var scopes []string
			for _, scope := range k.Scopes {
				scopes = append(scopes, string(scope))
			}
			return strings.Join(scopes, ",")
		}},
		{"CREATED", func(k client.Key) string { return when(&k.CreatedAt) }},
		{"EXPIRES", func(k client.Key) string { return when(k.ExpiresAt) }},
		{"LAST USED", func(k client.Key) string { return when(k.LastUsedAt) }},
		{"DESCRIPTION", func(k client.Key) string { return k.Description }},
	},
	name: keyName,
}

func keyName(k client.Key) string { return k.Id }
