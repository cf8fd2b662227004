-- The services that http targets call. A connection belongs to one namespace.

-- name: CreateConnection :one
-- Stores a connection. Two sessions that store one key wait for each other at the unique index,
-- which refuses the second.
insert into connections (
    id, namespace, key, base_url, definition, sealed_secrets, secrets_key_id, secret_names, max_concurrency, max_per_second, is_adaptive,
    updated_by
)
values (
    @id, @namespace, @key, @base_url, @definition, @sealed_secrets, @secrets_key_id, @secret_names, @max_concurrency, @max_per_second,
    @is_adaptive, @updated_by
)
returning *;

-- name: CreateConnectionState :exec
-- Stores that instances know nothing of a new connection yet. Call it in the transaction that
-- creates the connection.
insert into connection_states (connection_id)
values (@connection_id);

-- name: AddConnectionStates :execrows
-- Does the same for connections that have no such row, because an instance of an older version has
-- created them. Safe from many sessions at once. It skips a connection that somebody deletes.
insert into connection_states (connection_id)
select c.id
from connections c
where not exists (select from connection_states s where s.connection_id = c.id)
for key share of c skip locked
on conflict (connection_id) do nothing;

-- name: GetConnection :one
-- Reads a connection, and what instances know of it together. Until when it waits is read by a join
-- of its own, because an instant in Go is not infinite.
select sqlc.embed(c), s.down_since, s.reason, w.waits_until, clock_timestamp()::timestamptz as read_at
from connections c
left join connection_states s on s.connection_id = c.id
left join connection_states w on w.connection_id = c.id and w.waits_until > '-infinity'
where c.namespace = @namespace and c.key = @key;

-- name: ListConnections :many
-- By key, those after a key: the same cost at any depth.
select sqlc.embed(c), s.down_since, s.reason, w.waits_until, clock_timestamp()::timestamptz as read_at
from connections c
left join connection_states s on s.connection_id = c.id
left join connection_states w on w.connection_id = c.id and w.waits_until > '-infinity'
where c.namespace = @namespace and c.key > @after::text
order by c.key
limit @max_rows;

-- name: LockConnection :one
-- Two changes of one connection wait for each other here, and a deletion waits for those who are
-- about to use it (HoldConnection).
select *
from connections
where namespace = @namespace and key = @key
for update;

-- name: HoldConnection :one
-- Keeps a connection from being deleted until the end of the transaction, in which a job is made
-- to use it. Returns no row if there is none.
select id
from connections
where namespace = @namespace and key = @key
for key share;

-- name: UpdateConnection :exec
-- The caller holds LockConnection. updated_at tells one state from another, also if this
-- transaction began before the one that has changed the connection last.
update connections
set base_url = @base_url, definition = @definition, sealed_secrets = @sealed_secrets, secrets_key_id = @secrets_key_id,
    secret_names = @secret_names, max_concurrency = @max_concurrency, max_per_second = @max_per_second, is_adaptive = @is_adaptive,
    updated_at = greatest(now(), later(updated_at, interval '1 microsecond')), updated_by = @updated_by
where id = @id and namespace = @namespace;

-- name: IsConnectionUsed :one
-- Whether a job uses a connection, or one with secrets of its own. The caller holds LockConnection,
-- so no other begins to.
select exists (
    select
    from jobs
    where namespace = @namespace and target ->> 'connection' = @key::text and deleted_at is null
      and (secrets_key_id is not null or not @with_secrets::boolean)
);

-- name: DeleteConnection :exec
-- The caller holds LockConnection.
with forgotten as (
    delete from connection_states where connection_id = @id
)
delete from connections where id = @id and namespace = @namespace;

-- name: ListSealedConnections :many
-- ListSealedUnderOtherKeys for connections.
select id, sealed_secrets, secrets_key_id
from connections
where secrets_key_id is not null and secrets_key_id <> @key_id::text and id > @after
order by id
limit @max_rows;

-- name: ResealConnection :execrows
-- Replaces sealed secrets by the same secrets under another key, unless somebody has changed them.
update connections
set sealed_secrets = @resealed, secrets_key_id = @key_id::text
where id = @id and sealed_secrets = @sealed::bytea;
