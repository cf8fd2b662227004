package access

import "strings"

// Qualified returns the name of a queue or a concurrency group that no other namespace can have:
// <namespace>/<name>, as the generated columns of the table jobs.
func Qualified(namespace, name string) string { return namespace + "/" + name }

// connectionMark begins the names of the queues of connections. No name of a worker's queue has it.
const connectionMark = "="

// QualifiedConnection returns the name of the queue in which the runs of a connection wait for its
// limits, as the generated column of the table jobs.
func QualifiedConnection(namespace, connection string) string {
	return Qualified(namespace, connectionMark+connection)
}

// IsConnection reports whether a queue is that of a connection.
func IsConnection(qualified string) bool {
	return strings.HasPrefix(Unqualified(qualified), connectionMark)
}

// QualifiedOrNil is Qualified for a name that there may not be.
func QualifiedOrNil(namespace string, name *string) *string {
	if name == nil {
		return nil
	}
	return new(Qualified(namespace, *name))
}

// Unqualified returns the name within its namespace that Qualified was given.
func Unqualified(qualified string) string {
	_, name := Split(qualified)
	return name
}

// Split returns the namespace and the name that Qualified was given.
func Split(qualified string) (namespace, name string) {
	namespace, name, _ = strings.Cut(qualified, "/")
	return namespace, name
}

// QualifiedQueues returns the queues that the caller may serve, qualified. Nil: all of its
// namespace.
func (c Caller) QualifiedQueues() []string {
	if c.Queues == nil {
		return nil
	}
	queues := make([]string, len(c.Queues)) // not nil, even if there are none
	for i, queue := range c.Queues {
		queues[i] = Qualified(c.Namespace, queue)
	}
	return queues
}

// QueuesEnd returns what is behind all queues of a namespace, and before all others, in the order
// of bytes: 0 follows /.
func QueuesEnd(namespace string) string { return namespace + "0" }
