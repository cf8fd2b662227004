package access

import "strings"

// Qualified returns the name of a queue or a concurrency group that no other namespace can have:
// <namespace>/<name>, as the generated columns of the table jobs.
func Qualified(namespace, name string) string { return namespace + "/" + name }

// QualifiedOrNil is Qualified for a name that there may not be.
func QualifiedOrNil(namespace string, name *string) *string {
	if name == nil {
		return nil
	}
	return new(Qualified(namespace, *name))
}

// Unqualified returns the name within its namespace that Qualified was given.
func Unqualified(qualified string) string {
	_, name, _ := strings.Cut(qualified, "/")
	return name
}
