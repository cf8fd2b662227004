package executor

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The prefixes of Standard Webhooks: of shared secrets, of private keys and of public keys.
const (
	signingPrefix = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"
)

// minSigningSecret and maxSigningSecret are the bounds, in bytes, that Standard Webhooks sets.
const minSigningSecret, maxSigningSecret = 24, 64

// sign returns the value of webhook-signature by Standard Webhooks 1.0.0, with a signature by each
// secret.
func sign(id string, at time.Time, content []byte, secrets []string) (string, error) {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		if key, err := privateKey(secret); err == nil {
			// The library knows symmetric signatures only.
			signed := fmt.Appendf(nil, "%s.%d.%s", id, at.Unix(), content)
			signatures[i] = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed))
			continue
		}
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", fmt.Errorf("signing secret %d is not valid", i) // err may quote it
		}
		if signatures[i], err = webhook.Sign(id, at, content); err != nil {
			return "", fmt.Errorf("signing secret %d cannot sign", i)
		}
	}
	return strings.Join(signatures, " "), nil
}

// PublicKeys returns the public keys of the signing secrets that are private keys, in the form of
// Standard Webhooks.
func PublicKeys(secrets []string) (keys []string) {
	for _, secret := range secrets {
		if key, err := privateKey(secret); err == nil {
			// The second half of a private key is the public key.
			keys = append(keys, publicPrefix+base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:]))
		}
	}
	return keys
}

var errNoPrivateKey = errors.New("is no private key")

// privateKey returns the key of a signing secret that is one. Its errors do not quote it.
func privateKey(secret string) (ed25519.PrivateKey, error) {
	encoded, ok := strings.CutPrefix(secret, privatePrefix)
	if !ok {
		return nil, errNoPrivateKey
	}
	raw, err := decodeSecret(encoded)
	if err != nil || (len(raw) != ed25519.SeedSize && len(raw) != ed25519.PrivateKeySize) {
		return nil, errNoPrivateKey
	}
	key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && !key.Equal(ed25519.PrivateKey(raw)) {
		return nil, errNoPrivateKey // its halves do not belong together
	}
	return key, nil
}

func decodeSecret(encoded string) ([]byte, error) {
	if strings.ContainsAny(encoded, "\r\n") { // the decoder ignores them
		return nil, errNoPrivateKey
	}
	return base64.StdEncoding.Strict().DecodeString(encoded)
}

func checkSigningSecrets(secrets []string) (faults []Fault) {
	for i, secret := range secrets {
		if !isSigningSecret(secret) {
			faults = append(faults, Fault{
				fmt.Sprintf("signingSecrets.%d", i), WrongFormat,
				fmt.Sprintf("must be %s and %d to %d bytes in base64, or %s and an ed25519 private key of %d or %d bytes in base64",
					signingPrefix, minSigningSecret, maxSigningSecret, privatePrefix, ed25519.SeedSize, ed25519.PrivateKeySize),
			})
		}
	}
	return faults
}

func isSigningSecret(secret string) bool {
	if _, err := privateKey(secret); err == nil {
		return true
	}
	encoded, ok := strings.CutPrefix(secret, signingPrefix)
	if !ok {
		return false
	}
	key, err := decodeSecret(encoded)
	return err == nil && len(key) >= minSigningSecret && len(key) <= maxSigningSecret
}
