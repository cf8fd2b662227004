-- The namespaces themselves. No other statement of a request reads more than one of them.

-- name: CreateNamespace :one
-- Stores a namespace. It returns no row if there is one of this name, even a deleted one. Two
-- sessions that do this at once wait for each other at the primary key, so one of them finds it.
insert into namespaces (
    name, description, max_jobs, min_interval_seconds, requests_per_second, run_retention_days, blackouts,
    suspended_at
)
values (
    @name, @description, @max_jobs, @min_interval_seconds, @requests_per_second, @run_retention_days, sqlc.narg(blackouts),
    sqlc.narg(suspended_at)
)
on conflict (name) do nothing
returning *;

-- name: GetNamespace :one
-- Reads a namespace, also a deleted one: the caller decides what that means.
select *
from namespaces
where name = @name;

-- name: ListNamespaces :many
-- By name, those after a name: the same cost at any depth. A caller who is bound to one namespace
-- sees that one only.
select *
from namespaces
where deleted_at is null and name > @after and (sqlc.narg(only_name)::text is null or name = sqlc.narg(only_name))
order by name
limit @max_rows;

-- name: LockNamespace :one
-- Changes of one namespace, and creations of jobs in a namespace that bounds their number, wait for
-- each other here. Requests that only read, and jobs without such a bound, take no lock.
select *
from namespaces
where name = @name
for update;

-- name: UpdateNamespace :one
-- The caller holds LockNamespace. With another retention, all old runs are looked for again: those
-- from before that may have come meanwhile.
update namespaces
set description = @description, max_jobs = @max_jobs, min_interval_seconds = @min_interval_seconds,
    requests_per_second = @requests_per_second, run_retention_days = @run_retention_days, blackouts = sqlc.narg(blackouts),
    suspended_at = sqlc.narg(suspended_at),
    runs_deleted_before = case when run_retention_days is not distinct from @run_retention_days then runs_deleted_before end,
    updated_at = greatest(now(), created_at)
where name = @name
returning *;

-- name: MarkNamespaceDeleted :exec
-- The caller holds LockNamespace. The row stays until no job refers to it by its name, so that
-- nobody else gets what is left under that name. The answers of its requests go at once.
with forgotten as (
    delete from idempotency_keys where namespace = @namespace
)
update namespaces
set deleted_at = now(), updated_at = greatest(now(), created_at)
where name = @namespace;

-- name: RevokeKeysOf :execrows
-- Revokes the keys of a namespace, in the transaction that deletes it. Safe to repeat.
update keys
set revoked_at = now()
where namespace = @namespace::text and revoked_at is null;

-- name: ListNamespacesBehind :many
-- The namespaces whose jobs are not yet as the namespace is: active in a suspended one, paused for
-- that in one that goes on, or there in a deleted one. It looks at the indexes of jobs once for
-- each namespace. An instance asks for all of them; no caller sees the answer.
select n.name, n.run_retention_days, (n.deleted_at is not null)::boolean as is_deleted,
    (n.suspended_at is not null)::boolean as is_suspended
from namespaces n
where case
    when n.deleted_at is not null
        then exists (select from jobs j where j.namespace = n.name and j.deleted_at is null)
    when n.suspended_at is not null
        then exists (select from jobs j where j.namespace = n.name and j.status = 'ACTIVE' and j.deleted_at is null)
    else exists (select from jobs j where j.namespace = n.name and j.suspended and j.deleted_at is null)
end;

-- name: ListJobsBehind :many
-- Some of the jobs that ListNamespacesBehind has found in a namespace, without those that failed.
-- Only one of the three parts reads anything. Whoever changes a job looks at it again under its
-- lock.
(
    select j.id
    from jobs j
    where @is_deleted::boolean and j.namespace = @namespace and j.deleted_at is null and j.id <> all(@failed::uuid[])
    limit @max_rows
)
union all
(
    select j.id
    from jobs j
    where not @is_deleted::boolean and @is_suspended::boolean and j.namespace = @namespace and j.status = 'ACTIVE'
      and j.deleted_at is null and j.id <> all(@failed::uuid[])
    limit @max_rows
)
union all
(
    select j.id
    from jobs j
    where not @is_deleted::boolean and not @is_suspended::boolean and j.namespace = @namespace and j.suspended
      and j.deleted_at is null and j.id <> all(@failed::uuid[])
    limit @max_rows
);

-- name: LockBlackouts :many
-- The blackouts of namespaces, which stay as they are until the end of the transaction, in which
-- runs are put back. They are locked in one order, and a change of one waits.
select name, blackouts, moving_since
from namespaces
where name = any(@names::text[])
order by name
for share;

-- name: ListBlackouts :many
-- The blackouts of all namespaces that have any, or that are being moved: that is one, too.
-- Instances look at them when they claim; no caller sees the answer.
select name, blackouts, moving_since
from namespaces
where (blackouts is not null or moving_since is not null) and deleted_at is null;
