-- name: LockNamespaceToUse :one
-- Returns the name of a namespace that is not deleted. Nobody can delete it until the end of the
-- transaction.
select name
from namespaces
where name = @name and deleted_at is null
for share;

-- name: CreateKey :one
-- Stores a new key, under a random id that no other key has.
insert into keys (
    id, namespace, secret_sha256, description, scopes, queues, requests_per_second, created_at, created_by, expires_at
)
values (
    @id, sqlc.narg(namespace), @secret_sha256, @description, @scopes, sqlc.narg(queues), sqlc.narg(requests_per_second),
    @created_at, @created_by, sqlc.narg(expires_at)
)
returning *;

-- name: ReadKey :one
-- A key by its id, of whichever namespace, to find out who makes a request.
select sqlc.embed(k), clock_timestamp()::timestamptz as read_at
from keys k
where k.id = @id;

-- name: GetKey :one
-- A key of the namespace, or a service-wide one if the caller may see these.
select sqlc.embed(k), clock_timestamp()::timestamptz as read_at
from keys k
where k.id = @id and (k.namespace = @namespace::text or (k.namespace is null and @with_service_wide::boolean));

-- name: ListKeys :many
-- Newest first, the keys after a place: those of the namespace, and the service-wide ones if the
-- caller may see these. Each half reads at most @max_rows entries of the index.
select sqlc.embed(k), clock_timestamp()::timestamptz as read_at
from keys k
where k.id in (
    (
        select bound.id
        from keys bound
        where bound.namespace = @namespace::text
          and (bound.created_at, bound.id) < (@after_created_at::timestamptz, @after_id::text)
        order by bound.created_at desc, bound.id desc
        limit @max_rows
    )
    union all
    (
        select wide.id
        from keys wide
        where wide.namespace is null and @with_service_wide::boolean
          and (wide.created_at, wide.id) < (@after_created_at::timestamptz, @after_id::text)
        order by wide.created_at desc, wide.id desc
        limit @max_rows
    )
)
order by k.created_at desc, k.id desc
limit @max_rows;

-- name: RevokeKey :execrows
-- Zero rows: there is no such key for the caller, or somebody has revoked it already.
update keys
set revoked_at = now()
where id = @id and (namespace = @namespace::text or (namespace is null and @with_service_wide::boolean)) and revoked_at is null;

-- name: NoteKeysUsed :exec
-- Notes when keys were used. Each key is written at most once in @coarseness, however many
-- instances note its use. It locks the keys in the order of their ids, so that instances which do
-- so at once wait for each other and do not deadlock.
update keys k
set last_used_at = u.used_at
from (
    select n.id, n.used_at
    from (select unnest(@ids::text[]) as id, unnest(@used_ats::timestamptz[]) as used_at) n
    join keys locked on locked.id = n.id
    where locked.last_used_at is null or locked.last_used_at <= n.used_at - @coarseness::interval
    order by n.id
    for update of locked
) u
where k.id = u.id;

-- name: IsAnyKeyValid :one
-- Reports whether any key is valid, for a warning when an instance starts.
select exists (select from keys where revoked_at is null and (expires_at is null or expires_at > now()));
