// Package secrets encrypts the secrets of users with AES-256-GCM, so that somebody who reads the
// database, or a copy of it, cannot read them.
package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// keySize is the size of a key of AES-256, in bytes.
const keySize = 32

// validID never matches a key, as 32 bytes in base64 are longer. So an id can be shown.
var validID = regexp.MustCompile(`^[a-z0-9._-]{1,32}$`)

// Keyring holds keys. It seals with the first one and opens with each of them. The zero Keyring has
// none. However it is printed, it shows the ids of its keys and never the keys. It is safe for
// concurrent use.
type Keyring struct {
	keys    []key
	invalid error
}

// key keeps its cipher and its digest in functions because fmt, with some verbs, and other code
// that prints by reflection would follow a pointer into them.
type key struct {
	id     string
	aead   func() cipher.AEAD
	digest func(plaintext, bound []byte) []byte
}

// ParseKeyring reads `id:key,id:key`, each key 32 bytes in base64 and each id 1 to 32 of a-z, 0-9,
// '.', '_' and '-'. The empty text is a Keyring without keys. Errors name the key's id, or its
// position, and never the key.
func ParseKeyring(text string) (Keyring, error) {
	var ring Keyring
	if text == "" {
		return ring, nil
	}
	for i, entry := range strings.Split(text, ",") {
		id, encoded, found := strings.Cut(entry, ":")
		if !found || !validID.MatchString(id) {
			return Keyring{}, fmt.Errorf("key %d must be 'id:key', its id 1 to 32 of a-z, 0-9, '.', '_' and '-'", i+1)
		}
		if _, twice := ring.find(id); twice {
			return Keyring{}, fmt.Errorf("key %q is there twice", id)
		}
		key, err := newKey(id, encoded)
		if err != nil {
			return Keyring{}, fmt.Errorf("key %q %w", id, err)
		}
		ring.keys = append(ring.keys, key)
	}
	return ring, nil
}

func newKey(id, encoded string) (key, error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return key{}, errors.New("is not base64")
	}
	if len(raw) != keySize {
		return key{}, fmt.Errorf("has %d bytes, not %d", len(raw), keySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, err
	}
	// A key of its own, so that digests say nothing about the key that encrypts.
	digestKey, err := hkdf.Key(sha256.New, raw, nil, "punctual digest of secrets", keySize)
	if err != nil {
		return key{}, err
	}
	return key{id, func() cipher.AEAD { return aead }, func(plaintext, bound []byte) []byte {
		mac := hmac.New(sha256.New, digestKey)
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(bound)))) // where bound ends
		mac.Write(bound)
		mac.Write(plaintext)
		return mac.Sum(nil)
	}}, nil
}

// GenerateKey returns a new random key in the form that ParseKeyring reads. Its id is the second of
// now, such as 20261123-093000, so that two keys of one day differ.
func GenerateKey(now time.Time) string {
	raw := make([]byte, keySize)
	rand.Read(raw) // ends the process rather than fail
	return now.Format("20060102-150405") + ":" + base64.StdEncoding.EncodeToString(raw)
}

// Current returns the id of the key that seals, or false if there is none.
func (k Keyring) Current() (id string, ok bool) {
	if len(k.keys) == 0 {
		return "", false
	}
	return k.keys[0].id, true
}

// UnmarshalText reads what ParseKeyring reads. It never returns an error, because kong would print
// the text of the environment variable with it. If the text is invalid, Validate returns the error,
// and the Keyring neither seals nor opens.
func (k *Keyring) UnmarshalText(text []byte) error {
	ring, err := ParseKeyring(string(text))
	ring.invalid = err
	*k = ring
	return nil
}

// Validate returns the error of the last UnmarshalText.
func (k Keyring) Validate() error { return k.invalid }

// String returns the text from which the keys were read, with *** for each key.
func (k Keyring) String() string {
	var shown []string
	for _, key := range k.keys {
		shown = append(shown, key.id+":***")
	}
	return strings.Join(shown, ",")
}

// GoString is String for the verb %#v.
func (k Keyring) GoString() string { return "secrets.Keyring(" + k.String() + ")" }

// MarshalText is String for JSON and for logs. UnmarshalText cannot read its result.
func (k Keyring) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Has reports whether the keyring has a key with this id.
func (k Keyring) Has(id string) bool {
	_, ok := k.find(id)
	return ok
}

func (k Keyring) find(id string) (key, bool) {
	i := slices.IndexFunc(k.keys, func(key key) bool { return key.id == id })
	if i < 0 {
		return key{}, false
	}
	return k.keys[i], true
}
