package connections

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/secrets"
)

// stored is a connection as the table keeps it.
type stored struct {
	definition []byte
	sealed     []byte
	keyID      *string
	names      []string
}

// store splits a connection into what everybody may read and its secrets, which it seals. It
// returns an Invalid if there is no key to seal them with.
func (s *Service) store(id uuid.UUID, c *connection) (stored, error) {
	open, hidden := c.Connection, executor.Connection{SecretHeaders: c.SecretHeaders, SigningSecrets: c.SigningSecrets}
	open.SecretHeaders, open.SigningSecrets = nil, nil
	open.PublicKeys = executor.PublicKeys(c.SigningSecrets)
	hidden.Auth.Password, open.Auth.Password = c.Auth.Password, ""
	hidden.Auth.Token, open.Auth.Token = c.Auth.Token, ""
	hidden.Auth.ClientSecret, open.Auth.ClientSecret = c.Auth.ClientSecret, ""
	hidden.TLS.ClientKey, open.TLS.ClientKey = c.TLS.ClientKey, ""
	definition, err := json.Marshal(open)
	if err != nil {
		return stored{}, fmt.Errorf("encode the connection: %w", err)
	}
	names := namesOf(&hidden)
	if _, hasKey := s.Secrets.Current(); c.Auth.Type == executor.AuthJWT && !hasKey {
		return stored{}, &jobs.Invalid{Fields: []jobs.Field{{
			Name: "auth.type", Code: jobs.SecretKeyMissing,
			Detail: "cannot be jwt: the operator has configured no key for secrets (SECRET_KEYS), and those that sign are secrets",
		}}}
	}
	if len(names) == 0 {
		return stored{definition: definition, names: names}, nil
	}
	opened, err := json.Marshal(hidden)
	if err != nil {
		return stored{}, fmt.Errorf("encode the secrets of the connection: %w", err)
	}
	sealed, err := s.Secrets.Seal(opened, id[:])
	if errors.Is(err, secrets.ErrNoKey) {
		var wrong []jobs.Field
		for _, name := range names {
			wrong = append(wrong, jobs.Field{
				Name: name, Code: jobs.SecretKeyMissing,
				Detail: "cannot be stored: the operator has configured no key for secrets (SECRET_KEYS)",
			})
		}
		return stored{}, &jobs.Invalid{Fields: wrong}
	}
	if err != nil {
		return stored{}, fmt.Errorf("seal the secrets of the connection: %w", err)
	}
	return stored{definition, sealed.Ciphertext, &sealed.KeyID, names}, nil
}

// namesOf returns the names of the secrets that there are, as paths of fields.
func namesOf(hidden *executor.Connection) []string {
	names := []string{}
	for _, name := range slices.Sorted(maps.Keys(hidden.SecretHeaders)) {
		names = append(names, "secretHeaders."+name)
	}
	for _, secret := range []struct {
		name    string
		isGiven bool
	}{
		{"signingSecrets", len(hidden.SigningSecrets) > 0},
		{"auth.password", hidden.Auth.Password != ""},
		{"auth.token", hidden.Auth.Token != ""},
		{"auth.clientSecret", hidden.Auth.ClientSecret != ""},
		{"tls.clientKey", hidden.TLS.ClientKey != ""},
	} {
		if secret.isGiven {
			names = append(names, secret.name)
		}
	}
	return names
}

// open returns a connection with its secrets. The error is a Conflict if they cannot be opened.
func open(keys secrets.Keyring, row *db.Connection) (*executor.Connection, error) {
	c := &executor.Connection{}
	if err := json.Unmarshal(row.Definition, c); err != nil {
		return nil, fmt.Errorf("decode the connection %s: %w", row.Key, err)
	}
	if row.SecretsKeyID != nil {
		opened, err := keys.Open(secrets.Sealed{KeyID: *row.SecretsKeyID, Ciphertext: row.SealedSecrets}, row.ID[:])
		if err != nil {
			return nil, &jobs.Conflict{
				Code: jobs.SecretsCannotBeOpened, Detail: fmt.Sprintf("The secrets of the connection are sealed with the key %q,"+
					" which this instance does not have or which does not open them. Add the key to SECRET_KEYS, or delete the"+
					" connection.", *row.SecretsKeyID),
			}
		}
		if json.Unmarshal(opened, c) != nil { // err might quote them
			return nil, fmt.Errorf("the secrets of the connection %s cannot be read", row.Key)
		}
	}
	c.ID, c.Namespace, c.Key, c.UpdatedAt = row.ID, row.Namespace, row.Key, row.UpdatedAt
	c.BaseURL, c.IsAdaptive = row.BaseUrl, row.IsAdaptive
	return c, nil
}
