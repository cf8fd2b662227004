package secrets

import (
	"errors"
	"fmt"
)

// ErrNoKey is Seal's error when there is no key to seal with.
var ErrNoKey = errors.New("there is no key to seal secrets with")

// ErrNotAuthentic is Open's error for what was not sealed by that key and bound to that place, or was changed since.
var ErrNotAuthentic = errors.New("the secret is not authentic")

// UnknownKeyError is Open's error for what a key sealed that is not in the Keyring.
type UnknownKeyError struct{ ID string }

func (e UnknownKeyError) Error() string {
	return fmt.Sprintf("the secret is sealed with the key %q, which is not among those configured", e.ID)
}

// Sealed is a secret as it is stored.
type Sealed struct {
	KeyID string
	// Ciphertext is the random nonce of 12 bytes, as many bytes as the secret has, and the tag of 16.
	Ciphertext []byte
}

// Seal seals plaintext with the first key. It opens only with the same bound, which is not stored: what names the place,
// such as the row's id, so that who can write to the database cannot have the service send a secret from another place.
// It returns ErrNoKey where there is no key. One key is good for 2^32 secrets.
func (k Keyring) Seal(plaintext, bound []byte) (Sealed, error) {
	if k.invalid != nil {
		return Sealed{}, k.invalid
	}
	if len(k.keys) == 0 {
		return Sealed{}, ErrNoKey
	}
	first := k.keys[0]
	ciphertext := first.aead().Seal(nil, nil, plaintext, bound) //nolint:gosec // it makes its nonce itself and takes none
	return Sealed{KeyID: first.id, Ciphertext: ciphertext}, nil
}

// Open returns what Seal was given. It returns an UnknownKeyError when the key is not in the Keyring, and ErrNotAuthentic
// when the secret was changed, is bound to something else, or was sealed with another key of the same id.
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

// Reseal seals with the first key what any of them opens: with it no secret needs an old key any longer. Its errors are
// those of Open and Seal.
func (k Keyring) Reseal(sealed Sealed, bound []byte) (Sealed, error) {
	plaintext, err := k.Open(sealed, bound)
	if err != nil {
		return Sealed{}, err
	}
	return k.Seal(plaintext, bound)
}
