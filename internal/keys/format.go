// Package keys creates, lists and revokes API keys, and finds out whose key a request brings.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"

	"punctual/internal/access"
)

// Expression matches every key, and hardly anything else, so that scanners find keys in source code
// and logs. The last three bytes of what follows the id are a checksum: the lower 24 bits of the
// CRC-32 (IEEE) of the bytes of the id and of the 32 bytes before. Both parts are base32 (RFC 4648)
// in lower case.
const Expression = `punc_[a-z2-7]{16}_[a-z2-7]{56}`

const (
	idBytes       = 10
	secretBytes   = 32 // 256 random bits
	checksumBytes = 3
)

// alphabet has no underscore, so that the parts of a key can be told apart.
var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

var (
	idLength     = alphabet.EncodedLen(idBytes)
	secretLength = alphabet.EncodedLen(secretBytes + checksumBytes)
	keyLength    = len(access.KeyPrefix) + idLength + 1 + secretLength
)

// Plain is a key in the clear. Whatever prints, logs or encodes it shows only the id.
type Plain struct {
	id     [idBytes]byte
	secret [secretBytes]byte
}

// generate returns a new key.
func generate() (p Plain) {
	_, _ = rand.Read(p.id[:]) // it never fails: it ends the program
	_, _ = rand.Read(p.secret[:])
	return p
}

// IsID reports whether a text has the form of the id of a key.
func IsID(text string) bool {
	_, err := alphabet.DecodeString(text)
	return err == nil && len(text) == idLength
}

// parse returns the key that a text is. A text of another form, or with another checksum, is none.
func parse(text string) (p Plain, ok bool) {
	rest, ok := strings.CutPrefix(text, access.KeyPrefix)
	if !ok || len(text) != keyLength || rest[idLength] != '_' {
		return p, false
	}
	var secret [secretBytes + checksumBytes]byte
	if n, err := alphabet.Decode(p.id[:], []byte(rest[:idLength])); err != nil || n != len(p.id) {
		return p, false
	}
	if n, err := alphabet.Decode(secret[:], []byte(rest[idLength+1:])); err != nil || n != len(secret) {
		return p, false
	}
	copy(p.secret[:], secret[:])
	return p, [checksumBytes]byte(secret[secretBytes:]) == p.checksum()
}

// checksum tells a mistyped key from an unknown one. It is no secret, and proves nothing.
func (p Plain) checksum() [checksumBytes]byte {
	sum := crc32.Update(crc32.ChecksumIEEE(p.id[:]), crc32.IEEETable, p.secret[:])
	return [checksumBytes]byte{byte(sum >> 16), byte(sum >> 8), byte(sum)}
}

// ID is the public name of the key.
func (p Plain) ID() string { return alphabet.EncodeToString(p.id[:]) }

// Reveal returns the key as a client sends it. It is for whoever has made the key, once.
func (p Plain) Reveal() string {
	sum := p.checksum()
	return access.KeyPrefix + p.ID() + "_" + alphabet.EncodeToString(append(p.secret[:], sum[:]...))
}

// digest is what is stored of the secret. The secret is random, so a fast hash is enough: there is
// nothing to be guessed.
func (p Plain) digest() [sha256.Size]byte { return sha256.Sum256(p.secret[:]) }

// String shows the id only.
func (p Plain) String() string { return access.KeyPrefix + p.ID() + "_***" }

// Format shows the id only, whatever the verb.
func (p Plain) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue shows the id only.
func (p Plain) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText shows the id only.
func (p Plain) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
