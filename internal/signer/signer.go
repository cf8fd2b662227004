// Package signer signs the tokens by which receivers know that the service calls them, and knows
// the public keys that verify them.
package signer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"punctual/gen/db"
	"punctual/internal/secrets"
)

const (
	// replaceAfter is how long a key signs.
	replaceAfter = 30 * 24 * time.Hour
	// publishedFor is how long a key is published before it signs, if there is another one:
	// receivers keep what they have read for a while.
	publishedFor = time.Hour
	// keepFor is how long a key is published after another has replaced it, at least. It is longer
	// than the token that it has signed last is valid.
	keepFor = 24 * time.Hour
	// knownFor is how long keys are known for signing without being read again, and shownFor how
	// long they are known for those who verify: another instance may have made the first one.
	knownFor = time.Minute
	shownFor = time.Second
	// readWithin bounds one read. It serves all who wait for it, so none of them ends it.
	readWithin = 5 * time.Second
)

// Signer signs tokens. Make it with New. Safe for concurrent use.
type Signer struct {
	queries *db.Queries
	keys    secrets.Keyring
	reads   singleflight.Group
	mu      sync.Mutex
	known   known
}

// known is what was read.
type known struct {
	rows   []db.ListTokenKeysRow
	readAt time.Time
	// signing signs tokens. Nil: none was needed yet.
	signing jose.Signer
}

// New returns a Signer that seals its keys like other secrets.
func New(q *db.Queries, keys secrets.Keyring) *Signer { return &Signer{queries: q, keys: keys} }

// ErrNoKey is the error for a service that has no key for secrets: it could not keep the keys that
// sign.
var ErrNoKey = errors.New("the operator has configured no key for secrets (SECRET_KEYS)")

// Sign returns a JSON Web Token with these claims, signed by Ed25519. The first token makes a key.
// It returns ErrNoKey.
func (s *Signer) Sign(ctx context.Context, claims any) (string, error) {
	now, err := s.read(ctx, knownFor, true)
	if err != nil {
		return "", err
	}
	token, err := jwt.Signed(now.signing).Claims(claims).Serialize()
	if err != nil {
		return "", errors.New("the key cannot sign it") // err might quote the key
	}
	return token, nil
}

// PublicKey is a key that verifies tokens.
type PublicKey struct {
	ID  uuid.UUID
	Key ed25519.PublicKey
}

// PublicKeys returns the keys of all tokens that may be valid, and of those to come.
func (s *Signer) PublicKeys(ctx context.Context) ([]PublicKey, error) {
	now, err := s.read(ctx, shownFor, false)
	if err != nil {
		return nil, err
	}
	public := make([]PublicKey, len(now.rows))
	for i := range now.rows {
		public[i] = PublicKey{now.rows[i].TokenKey.ID, now.rows[i].TokenKey.PublicKey}
	}
	return public, nil
}

// read returns the keys as they were at most some time ago. To sign, it makes sure that there is
// one that signs.
func (s *Signer) read(ctx context.Context, within time.Duration, toSign bool) (known, error) {
	s.mu.Lock()
	now := s.known
	s.mu.Unlock()
	if time.Since(now.readAt) < within && (now.signing != nil || !toSign) {
		return now, nil
	}
	got, err, _ := s.reads.Do(strconv.FormatBool(toSign), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
		defer cancel()
		return s.readNow(ctx, toSign)
	})
	if err != nil {
		return known{}, err
	}
	return got.(known), nil //nolint:forcetypeassert // readNow returns it
}

func (s *Signer) readNow(ctx context.Context, toSign bool) (now known, err error) {
	now.readAt = time.Now()
	if now.rows, err = s.queries.ListTokenKeys(ctx); err != nil {
		return known{}, unread(err)
	}
	if toSign {
		if err := s.choose(ctx, &now); err != nil {
			return known{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = now
	return now, nil
}

// choose chooses the key that signs, and makes one if there is none or if it is old. Keys that this
// instance cannot open are for others: the tokens that they sign are valid, too.
func (s *Signer) choose(ctx context.Context, now *known) error {
	key, isOld := s.signingKey(now.rows)
	if key == nil || isOld {
		made, err := s.make(ctx)
		switch {
		case err == nil:
			if now.rows, err = s.queries.ListTokenKeys(ctx); err != nil {
				return unread(err)
			}
			key, _ = s.signingKey(now.rows)
		case key == nil:
			return err
		}
		if key == nil {
			key = made
		}
	}
	signing, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key.private, KeyID: key.id.String()}},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	if err != nil {
		return fmt.Errorf("use the key %s to sign tokens: %w", key.id, err)
	}
	now.signing = signing
	return nil
}

// unreadError says for users that the keys could not be read, without what the database has said.
type unreadError struct{ cause error }

func unread(err error) error { return unreadError{err} }

func (unreadError) Error() string   { return "the keys that sign tokens could not be read or stored" }
func (e unreadError) Unwrap() error { return e.cause }

type signingKey struct {
	id      uuid.UUID
	private ed25519.PrivateKey
}

// signingKey returns the key that signs: of those that this instance can open, the newest that was
// published for long enough, or else the oldest. It returns nil if there is none. isOld reports
// that the newest one is to be replaced.
func (s *Signer) signingKey(rows []db.ListTokenKeysRow) (key *signingKey, isOld bool) {
	isOld = true
	for i := range rows {
		row := &rows[i].TokenKey
		seed, err := s.keys.Open(secrets.Sealed{KeyID: row.SecretsKeyID, Ciphertext: row.SealedKey}, row.ID[:])
		if err != nil || len(seed) != ed25519.SeedSize {
			continue
		}
		age := rows[i].ReadAt.Sub(row.CreatedAt)
		isOld = isOld && age >= replaceAfter
		key = &signingKey{row.ID, ed25519.NewKeyFromSeed(seed)}
		if age >= publishedFor {
			break
		}
	}
	return key, isOld
}

// make stores a new key.
func (s *Signer) make(ctx context.Context) (*signingKey, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make the id of a key: %w", err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make a key that signs tokens: %w", err)
	}
	sealed, err := s.keys.Seal(private.Seed(), id[:])
	if errors.Is(err, secrets.ErrNoKey) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("seal a key that signs tokens: %w", err)
	}
	err = s.queries.CreateTokenKey(ctx, db.CreateTokenKeyParams{
		ID: id, SealedKey: sealed.Ciphertext, SecretsKeyID: sealed.KeyID, PublicKey: public, KeepFor: keepFor,
	})
	if err != nil {
		return nil, unread(err)
	}
	return &signingKey{id, private}, nil
}
