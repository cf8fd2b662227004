// Package sessions stores the sessions of the dashboard in the database, so that any instance
// serves any session.
//
// A reader of the database learns nothing from them. A row is found by the SHA-256 of the session's
// token, which only the browser has, and its data is sealed with a key that is derived from the
// token.
package sessions

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
)

// Store keeps sessions. It implements scs.CtxStore.
type Store struct{ queries *db.Queries }

// New returns a store.
func New(q *db.Queries) *Store { return &Store{q} }

// FindCtx returns the data of a session, if there is one that has not expired.
func (s *Store) FindCtx(ctx context.Context, token string) (data []byte, exists bool, err error) {
	id := sha256.Sum256([]byte(token))
	sealed, err := s.queries.FindSession(ctx, id[:])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find a session: %w", err)
	}
	if data, err = open(token, sealed); err != nil {
		return nil, false, err
	}
	return data, true, nil
}

// CommitCtx stores the data of a session until an instant.
func (s *Store) CommitCtx(ctx context.Context, token string, data []byte, until time.Time) error {
	sealed, err := seal(token, data)
	if err != nil {
		return err
	}
	id := sha256.Sum256([]byte(token))
	if err := s.queries.SaveSession(ctx, db.SaveSessionParams{ID: id[:], Sealed: sealed, Duration: time.Until(until)}); err != nil {
		return fmt.Errorf("store a session: %w", err)
	}
	return nil
}

// DeleteCtx ends a session.
func (s *Store) DeleteCtx(ctx context.Context, token string) error {
	id := sha256.Sum256([]byte(token))
	if err := s.queries.EndSession(ctx, id[:]); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// Find is FindCtx without a context.
func (s *Store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Store) Commit(token string, data []byte, until time.Time) error {
	return s.CommitCtx(context.Background(), token, data, until)
}

// Delete is DeleteCtx without a context.
func (s *Store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// cipherOf returns what seals the data of the session of a token. A token has 256 random bits, so
// the key is as good as a random one.
func cipherOf(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "punctual session", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a session: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a session: %w", err)
	}
	return cipher.NewGCM(block)
}

func seal(token string, data []byte) ([]byte, error) {
	aead, err := cipherOf(token)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	return aead.Seal(nonce, nonce, data, nil), nil
}

func open(token string, sealed []byte) ([]byte, error) {
	aead, err := cipherOf(token)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("open a session: it is too short")
	}
	data, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	return data, nil
}
