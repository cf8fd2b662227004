-- name: ListenDue :exec
-- For as long as the session lasts, so not through a pooler that lends sessions by the transaction.
listen punctual_due;

-- name: NotifyDue :exec
-- Tells listening instances the instant, in microseconds since 1970, at which something has become due. Sent alone, never
-- in a transaction that stores something: commits that notify wait for each other.
select pg_notify('punctual_due', (@unix_micros::bigint)::text);
