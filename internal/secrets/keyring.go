// Package secrets seals what users store as secret, with AES-256-GCM: who reads the database, or a copy of it, does not
// read their secrets.
package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// keySize is the size of a key, in bytes: that of AES-256.
const keySize = 32

// validID cannot be mistaken for a key: 32 bytes in base64 are longer. So an id may be shown.
var validID = regexp.MustCompile(`^[a-z0-9._-]{1,32}$`)

// Keyring holds the keys: the first one seals, all of them open. The zero Keyring has none. It shows its keys' ids and
// never the keys, however it is printed. Safe for concurrent use once it is read.
type Keyring struct {
	keys    []key
	invalid error
}

// key keeps its cipher in a function: fmt, with some verbs, and all that prints by reflection follow pointers into it.
type key struct {
	id   string
	aead func() cipher.AEAD
}

// ParseKeyring reads `id:key,id:key`, each key 32 bytes in base64 and each id 1 to 32 of a-z, 0-9, '.', '_' and '-'.
// The empty text is a Keyring without keys. Errors name the key's id, or its position, and never the key.
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
		aead, err := newAEAD(encoded)
		if err != nil {
			return Keyring{}, fmt.Errorf("key %q %w", id, err)
		}
		ring.keys = append(ring.keys, key{id, func() cipher.AEAD { return aead }})
	}
	return ring, nil
}

func newAEAD(encoded string) (cipher.AEAD, error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	if len(raw) != keySize {
		return nil, fmt.Errorf("has %d bytes, not %d", len(raw), keySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// GenerateKey returns a new random key as ParseKeyring reads it. Its id is the second of now, such as 20261123-093000: a keyring
// takes each once, and two keys may be made on one day.
func GenerateKey(now time.Time) string {
	raw := make([]byte, keySize)
	rand.Read(raw) // ends the process rather than fail
	return now.Format("20060102-150405") + ":" + base64.StdEncoding.EncodeToString(raw)
}

// Current returns the id of the key that seals, and false where there is none.
func (k Keyring) Current() (id string, ok bool) {
	if len(k.keys) == 0 {
		return "", false
	}
	return k.keys[0].id, true
}

// UnmarshalText reads what ParseKeyring reads. It never fails: kong prints the text of an environment variable along
// with the error. A Keyring that could not be read says why in Validate, and neither seals nor opens.
func (k *Keyring) UnmarshalText(text []byte) error {
	ring, err := ParseKeyring(string(text))
	ring.invalid = err
	*k = ring
	return nil
}

// Validate returns the error with which UnmarshalText could not read the keys.
func (k Keyring) Validate() error { return k.invalid }

// String returns the text that the keys were read from, with *** for each key.
func (k Keyring) String() string {
	var shown []string
	for _, key := range k.keys {
		shown = append(shown, key.id+":***")
	}
	return strings.Join(shown, ",")
}

// GoString is String for %#v.
func (k Keyring) GoString() string { return "secrets.Keyring(" + k.String() + ")" }

// MarshalText is String for JSON and for logs. What it returns cannot be read back.
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
