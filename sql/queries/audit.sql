-- name: AddToAudit :execrows
-- Writes down that an operation has changed something. Call it in the transaction of the change.
--
-- The id of an attempt to serve a request with an Idempotency-Key has a ~. Then this locks the
-- attempt, so that no other takes its place before the change is committed. Zero rows: another has
-- taken its place already, or the namespace is being moved to another cell (IsHere), so the
-- change must not be made. What the service itself changes goes on until the namespace is locked.
insert into audit (namespace, actor, operation, resource_type, resource_id, request_id, result)
select @namespace, @actor, @operation, @resource_type, @resource_id, nullif(@request_id::text, ''), @result
where (
        strpos(@request_id::text, '~') = 0
        or exists (select from idempotency_keys k where k.request_id = @request_id::text for key share)
    )
  and (
        @actor::text = 'system'
        or exists (select from namespaces n where n.name = @namespace and n.moving_since is null)
    );

-- name: IsHere :one
-- Whether a namespace is in this cell, and is not being moved to another one.
select exists (select from namespaces n where n.name = @namespace and n.moving_since is null);

-- name: HoldAttempt :execrows
-- Locks an attempt as AddToAudit does, for entries that another statement writes. Zero rows:
-- another attempt has taken its place.
select from idempotency_keys k
where k.request_id = @request_id::text
for key share;

-- name: ListAudit :many
-- Newest first, the entries before a place, of those that @max_scanned entries of the namespace
-- contain: what is asked for may be rare or not there. AuditPlace tells where to go on.
select a.*
from (
    select e.*
    from audit e
    where e.namespace = @namespace and (e.at, e.id) < (@before_at::timestamptz, @before_id::uuid)
      and e.at >= @since::timestamptz
    order by e.at desc, e.id desc
    limit @max_scanned
) a
where (sqlc.narg(actor)::text is null or a.actor = sqlc.narg(actor))
  and (sqlc.narg(operation)::text is null or a.operation = sqlc.narg(operation))
  and (sqlc.narg(resource_type)::text is null or a.resource_type = sqlc.narg(resource_type))
order by a.at desc, a.id desc
limit @max_rows;

-- name: AuditPlace :one
-- Returns the place of the last entry that ListAudit has looked at, or no row if it has looked at
-- all of them. It reads the index only.
select e.at, e.id
from audit e
where e.namespace = @namespace and (e.at, e.id) < (@before_at::timestamptz, @before_id::uuid)
  and e.at >= @since::timestamptz
order by e.at desc, e.id desc
limit 1 offset @scanned;

-- name: ListAuditOf :many
-- Like ListAudit, of the entries of one thing, which have an index of their own.
select a.*
from (
    select e.*
    from audit e
    where e.namespace = @namespace and e.resource_id = @resource_id and (e.at, e.id) < (@before_at::timestamptz, @before_id::uuid)
      and e.at >= @since::timestamptz
    order by e.at desc, e.id desc
    limit @max_scanned
) a
where (sqlc.narg(actor)::text is null or a.actor = sqlc.narg(actor))
  and (sqlc.narg(operation)::text is null or a.operation = sqlc.narg(operation))
  and (sqlc.narg(resource_type)::text is null or a.resource_type = sqlc.narg(resource_type))
order by a.at desc, a.id desc
limit @max_rows;

-- name: AuditPlaceOf :one
-- AuditPlace for ListAuditOf.
select e.at, e.id
from audit e
where e.namespace = @namespace and e.resource_id = @resource_id and (e.at, e.id) < (@before_at::timestamptz, @before_id::uuid)
  and e.at >= @since::timestamptz
order by e.at desc, e.id desc
limit 1 offset @scanned;

-- name: PurgeAudit :execrows
-- Deletes the oldest entries that are older than so many days, up to @max_rows. It goes from one
-- namespace to the next, because the index has their entries apart. Two sessions that do this at
-- once delete each entry once.
with recursive walled as (
    -- The namespaces that have entries.
    (
        select e.namespace
        from audit e
        order by e.namespace
        limit 1
    )
    union all
    select n.namespace
    from walled w
    cross join lateral (
        select e.namespace
        from audit e
        where e.namespace > w.namespace
        order by e.namespace
        limit 1
    ) n
), old as (
    -- The entries to delete.
    select w.namespace, o.at, o.id
    from walled w
    cross join lateral (
        select e.at, e.id
        from audit e
        where e.namespace = w.namespace and e.at < now() - make_interval(days => @days::integer)
        order by e.at
        limit @max_rows
    ) o
    limit @max_rows
)
delete from audit a
using (
    -- Arrays, because of which each entry is looked up by its key.
    select
        unnest(array(select namespace from old)) as namespace,
        unnest(array(select at from old)) as at,
        unnest(array(select id from old)) as id
) o
where a.namespace = o.namespace and a.at = o.at and a.id = o.id;

-- name: PurgeVersions :execrows
-- Deletes versions of jobs that were replaced more than so many days ago, up to @max_rows. Safe
-- like PurgeAudit.
with old as (
    -- The versions to delete.
    select o.job_id, o.version
    from job_versions o
    where o.superseded_at < now() - make_interval(days => @days::integer)
    order by o.superseded_at
    limit @max_rows
)
delete from job_versions v
using (
    select
        unnest(array(select job_id from old)) as job_id,
        unnest(array(select version from old)) as version
) o
where v.job_id = o.job_id and v.version = o.version;
