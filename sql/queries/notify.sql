-- name: ListenDue :exec
-- For as long as the session lasts, so not through a pooler that lends sessions by the transaction.
listen punctual_due;

-- name: ListenCanceled :exec
-- As ListenDue.
listen punctual_canceled;

-- name: NotifyCanceled :exec
-- Tells the instances that execute these runs, by their ids, to stop, and why. Sent alone, like NotifyDue.
select pg_notify('punctual_canceled', id::text || ' ' || @reason::text)
from unnest(@run_ids::uuid[]) as id;

-- name: NotifyDue :exec
-- Tells listening instances the instant, in microseconds since 1970, at which something has become due, and in which queue; the
-- empty one is that of the instances. Sent alone, never in a transaction that stores something: commits that notify wait for
-- each other.
select pg_notify('punctual_due', n.unix_micros::text || ' ' || n.queue)
from (select unnest(@unix_micros::bigint[]) as unix_micros, unnest(@queues::text[]) as queue) n;
