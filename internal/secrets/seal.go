package secrets

import (
	"crypto/hmac"
	"errors"
	"fmt"
)

// ErrNoKey is the error of Seal if the Keyring has no key.
var ErrNoKey = errors.New("there is no key to seal secrets with")

// ErrNotAuthentic is the error of Open for a secret that was changed, is bound to something else,
// or was sealed with another key.
var ErrNotAuthentic = errors.New("the secret is not authentic")

// UnknownKeyError is the error of Open for a secret whose key is not in the Keyring.
type UnknownKeyError struct{ ID string }

func (e UnknownKeyError) Error() string {
	return fmt.Sprintf("the secret is sealed with the key %q, which is not among those configured", e.ID)
}

// Sealed is a secret in the form in which it is stored.
type Sealed struct {
	KeyID string
	// Ciphertext consists of the random nonce of 12 bytes, the encrypted secret, and the tag of 16
	// bytes.
	Ciphertext []byte
	// Digest is an HMAC of the secret under another key, which follows from the one that encrypts,
	// and bound to the same place. By it, the same secret is known without being decrypted.
	Digest []byte
}

// Seal encrypts plaintext with the first key. The result opens only with the same bound, which is
// not stored. bound names the place of the secret, such as the id of its row: otherwise somebody
// who can write to the database could copy a secret to another row and make the service send it.
// Seal returns ErrNoKey if there is no key. One key can seal 2^32 secrets.
func (k Keyring) Seal(plaintext, bound []byte) (Sealed, error) {
	if k.invalid != nil {
		return Sealed{}, k.invalid
	}
	if len(k.keys) == 0 {
		return Sealed{}, ErrNoKey
	}
	first := k.keys[0]
	ciphertext := first.aead().Seal(nil, nil, plaintext, bound) //nolint:gosec // it makes its nonce itself and takes none
	return Sealed{KeyID: first.id, Ciphertext: ciphertext, Digest: first.digest(plaintext, bound)}, nil
}

// IsSame reports whether a secret was sealed from a plaintext and for a place, without opening it.
// It reports false if the key is not in the Keyring.
func (k Keyring) IsSame(sealed Sealed, plaintext, bound []byte) bool {
	key, ok := k.find(sealed.KeyID)
	return ok && hmac.Equal(sealed.Digest, key.digest(plaintext, bound))
}

// Open returns the plaintext. It returns an UnknownKeyError if the key is not in the Keyring, and
// ErrNotAuthentic if the secret was changed, is bound to something else, or was sealed with another
// key that has the same id.
func (k Keyring) Open(sealed Sealed, bound []byte) ([]byte, error) {
	if k.invalid != nil {
		return nil, k.invalid
	}
	key, ok := k.find(sealed.KeyID)
	if !ok {
		return nil, UnknownKeyError{ID: sealed.KeyID}
	}
	plaintext, err := key.aead().Open(nil, nil, sealed.Ciphertext, bound)
	if err != nil {
		return nil, fmt.Errorf("%w: sealed with key %q", ErrNotAuthentic, sealed.KeyID)
	}
	return plaintext, nil
}

// Reseal opens a secret with whichever key it was sealed with, and seals it with the first key, so
// that the old key is no longer needed. Its errors are those of Open and Seal.
func (k Keyring) Reseal(sealed Sealed, bound []byte) (Sealed, error) {
	plaintext, err := k.Open(sealed, bound)
	if err != nil {
		return Sealed{}, err
	}
	return k.Seal(plaintext, bound)
}
