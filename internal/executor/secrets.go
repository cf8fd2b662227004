package executor

import (
	"punctual/gen/db"
	"punctual/internal/secrets"
)

// SealSecrets seals the secrets of a job's target, bound to the job's id, and puts them on the job.
// Its errors are those of [secrets.Keyring.Seal].
func SealSecrets(keys secrets.Keyring, job *db.Job, opened []byte) error {
	sealed, err := keys.Seal(opened, job.ID[:])
	if err != nil {
		return err
	}
	job.SealedSecrets, job.SecretsKeyID, job.SecretsDigest = sealed.Ciphertext, &sealed.KeyID, sealed.Digest
	return nil
}

// HasSecrets reports whether SealSecrets has sealed these secrets for the job, without opening
// them.
func HasSecrets(keys secrets.Keyring, job *db.Job, opened []byte) bool {
	return job.SecretsKeyID != nil &&
		keys.IsSame(secrets.Sealed{KeyID: *job.SecretsKeyID, Digest: job.SecretsDigest}, opened, job.ID[:])
}

// OpenSecrets returns the secrets that SealSecrets sealed, or nil if the job's target has none. Its
// errors are those of [secrets.Keyring.Open].
func OpenSecrets(keys secrets.Keyring, job *db.Job) ([]byte, error) {
	if job.SecretsKeyID == nil {
		return nil, nil
	}
	return keys.Open(secrets.Sealed{KeyID: *job.SecretsKeyID, Ciphertext: job.SealedSecrets}, job.ID[:])
}
