package executor

import (
	"punctual/gen/db"
	"punctual/internal/secrets"
)

// SealSecrets puts the secrets of a job's target on the job, sealed and bound to its id. Its errors are those of
// secrets.Keyring.Seal.
func SealSecrets(keys secrets.Keyring, job *db.Job, opened []byte) error {
	sealed, err := keys.Seal(opened, job.ID[:])
	if err != nil {
		return err
	}
	job.SealedSecrets, job.SecretsKeyID = sealed.Ciphertext, &sealed.KeyID
	return nil
}

// OpenSecrets returns the secrets of a job's target, as SealSecrets was given them; nil: it has none. Its errors are those of
// secrets.Keyring.Open.
func OpenSecrets(keys secrets.Keyring, job *db.Job) ([]byte, error) {
	if job.SecretsKeyID == nil {
		return nil, nil
	}
	return keys.Open(secrets.Sealed{KeyID: *job.SecretsKeyID, Ciphertext: job.SealedSecrets}, job.ID[:])
}
