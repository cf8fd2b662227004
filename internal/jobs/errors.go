package jobs

import (
	"errors"
	"fmt"
	"strings"

	"punctual/internal/database"
	"punctual/internal/executor"
)

var (
	// ErrNotFound is the error for a job that does not exist, or is deleted.
	ErrNotFound = errors.New("there is no such job")
	// ErrRunNotFound is the error for a run that does not exist.
	ErrRunNotFound = errors.New("there is no such run")
	// ErrVersionNotFound is the error for a version of a job that there is not, or that is not
	// kept.
	ErrVersionNotFound = errors.New("there is no such version of the job")
)

// Field is one field of a request that is wrong.
type Field struct {
	// Name has dots into objects. It is empty for the request as a whole.
	Name string
	// Code tells programs what is wrong. A code never changes its meaning.
	Code Code
	// Detail tells people. It never quotes a secret.
	Detail string
}

// Code names what is wrong with a request or with one of its fields, in kebab case.
type Code string

// What is wrong with a field.
const (
	Required           Code = executor.Required
	WrongFormat        Code = executor.WrongFormat
	TooLarge           Code = "too-large"
	TooSmall           Code = "too-small"
	Conflicting        Code = executor.Conflicting
	NotAllowed         Code = executor.NotAllowed
	NotUnique          Code = executor.NotUnique
	NotFound           Code = "not-found"
	NeverDue           Code = "never-due"
	InTheFuture        Code = "in-the-future"
	InThePast          Code = "in-the-past"
	OlderThanRetention Code = "older-than-retention"
	TooManyOccurrences Code = "too-many-occurrences"
	SecretKeyMissing   Code = "secret-key-missing"
	SecretRequired     Code = "secret-required"
)

// Invalid is the error for a request whose fields are wrong. It names all of them.
type Invalid struct{ Fields []Field }

func (e *Invalid) Error() string {
	names := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		names[i] = fmt.Sprintf("%s %s", f.Name, f.Detail)
	}
	return "the request is not valid: " + strings.Join(names, "; ")
}

// InvalidIfAny returns an Invalid, or nil if no field is wrong.
func InvalidIfAny(fields []Field) error {
	if len(fields) == 0 {
		return nil
	}
	return &Invalid{fields}
}

// VersionChanged is the error for a change that is for another version of a job. Current is 0 if
// there is no such job.
type VersionChanged struct{ Current int32 }

func (e *VersionChanged) Error() string {
	if e.Current == 0 {
		return "There is no such job. Send the request without If-Match to create it."
	}
	return fmt.Sprintf("The job has version %d by now. Read it, and send the new ETag as If-Match.", e.Current)
}

// Exists is the error for a request that is only to create a job that there is already.
type Exists struct{ Current int32 }

func (e *Exists) Error() string {
	return fmt.Sprintf("There is a job with this key. It has version %d.", e.Current)
}

// KeyExists is the error for a new job with the key of another job.
type KeyExists struct {
	// Fields are those of the request that give such a key. None: it is not known which do.
	Fields []Field
	// Key is the first of the keys.
	Key string

	refusal error
}

// Unwrap returns the error of PostgreSQL, if there is one.
func (e *KeyExists) Unwrap() error { return e.refusal }

func (e *KeyExists) Error() string {
	if len(e.Fields) == 0 {
		return "Other requests create jobs with the same keys. Send the request again."
	}
	return fmt.Sprintf("The namespace has a job with the key %s.", e.Key)
}

// isKeyTaken reports whether PostgreSQL has refused to store a job because of its key.
func isKeyTaken(err error) bool { return strings.HasPrefix(database.ViolatedUnique(err), "jobs_key") }

// keyConflict returns a KeyExists for an error that storing a new job has ended with, if it is
// because of the job's key.
func keyConflict(err error, key *string) error {
	if key == nil || !isKeyTaken(err) {
		return err
	}
	return &KeyExists{Fields: []Field{takenKey("key")}, Key: *key, refusal: err}
}

// takenKey is what is wrong with a field that gives the key of another job.
func takenKey(name string) Field { return Field{name, NotUnique, "is the key of another job"} }

// What the state of a job, a run or a namespace does not allow.
const (
	RunNotEnded           Code = "run-not-ended"
	RunHasSucceeded       Code = "run-has-succeeded"
	RunHasEnded           Code = "run-has-ended"
	JobDeleted            Code = "job-deleted"
	SecretsCannotBeOpened Code = "secrets-cannot-be-opened"
	NamespaceSuspended    Code = "namespace-suspended"
	TooManyJobs           Code = "too-many-jobs"
)

// Conflict is the error for a request that the state of a job, a run or a namespace does
// not allow.
type Conflict struct {
	Code   Code
	Detail string
}

func (e *Conflict) Error() string { return e.Detail }
