-- name: ListenDue :exec
-- Lasts as long as the session, so it does not work through a pooler that lends sessions by the
-- transaction.
listen punctual_due;

-- name: ListenCanceled :exec
-- See ListenDue.
listen punctual_canceled;

-- name: NotifyCanceled :exec
-- Tells all instances that these runs, by their ids, are to stop, and why. Sent alone: see
-- NotifyDue.
select pg_notify('punctual_canceled', id::text || ' ' || @reason::text)
from unnest(@run_ids::uuid[]) as id;

-- name: NotifyDue :exec
-- Tells all instances when something becomes due, in microseconds since 1970, and in which queue;
-- an empty queue stands for the instances. After it comes the name of the cell, unless that is the
-- first one. Sent alone, never in a transaction that stores something: commits that notify wait for
-- each other.
select pg_notify('punctual_due', n.unix_micros::text || ' ' || n.queue || @suffix::text)
from (select unnest(@unix_micros::bigint[]) as unix_micros, unnest(@queues::text[]) as queue) n;

-- name: ListenEvents :exec
-- See ListenDue.
listen punctual_events;

-- name: NotifyEvents :exec
-- Passes messages on to all instances, with the database's time in microseconds since 1970. Each
-- instance hears them in the same order. Sent alone: see NotifyDue.
select pg_notify('punctual_events', (extract(epoch from now()) * 1000000)::bigint::text || ' ' || message)
from unnest(@messages::text[]) as message;
