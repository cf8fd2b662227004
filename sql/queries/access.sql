-- name: ListenAccess :exec
-- See ListenDue.
listen punctual_access;

-- name: NotifyAccess :exec
-- Tells all instances that a key or a namespace has changed, so that they forget what they know of
-- keys and namespaces. Call it in the transaction of the change: it is then heard after the commit,
-- and never without it. Such changes are rare, so it does not matter that their commits wait for
-- each other.
notify punctual_access;
