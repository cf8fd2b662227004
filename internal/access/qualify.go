package access

import "strings"

// Qualified returns the name of a queue that no other namespace can have: <namespace>/<name>, as
// the generated columns of the table jobs.
func Qualified(namespace, name string) string { return namespace + "/" + name }

// limitedMark begins the names of the queues of connections and concurrency groups, and groupMark
// those of groups. No name of a worker's queue has the former, and no key of a connection what
// follows it in the latter.
const limitedMark, groupMark = "=", "=~"

// QualifiedConnection returns the name of the queue in which the runs of a connection wait for its
// limits, as the generated column of the table jobs.
func QualifiedConnection(namespace, connection string) string {
	return Qualified(namespace, limitedMark+connection)
}

// IsConnection reports whether a queue is that of a connection.
func IsConnection(qualified string) bool {
	return IsLimited(qualified) && !IsGroup(qualified)
}

// QualifiedGroup returns the name of the queue in which the runs of a concurrency group wait for
// their places, as the generated column of the table jobs.
func QualifiedGroup(namespace, group string) string { return Qualified(namespace, groupMark+group) }

// IsGroup reports whether a queue is that of a concurrency group.
func IsGroup(qualified string) bool { return strings.HasPrefix(Unqualified(qualified), groupMark) }

// GroupOf returns the name within its namespace that QualifiedGroup was given.
func GroupOf(qualified string) string { return strings.TrimPrefix(Unqualified(qualified), groupMark) }

// IsLimited reports whether a queue is that of a connection or of a concurrency group.
func IsLimited(qualified string) bool {
	return strings.HasPrefix(Unqualified(qualified), limitedMark)
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
