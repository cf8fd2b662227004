-- These queries delete runs of namespaces that keep them for a shorter time than the service does.
-- A duty calls them partition by partition, oldest first, in small steps.

-- name: ListNamespacesWithOldRuns :many
-- The namespaces that have runs to delete, with the days (UTC) whose runs are to go: from since on
-- and before. Nothing is scheduled before 1970. An instance asks for all of them; no caller sees
-- the answer.
select n.name, n.run_retention_days::integer as days, coalesce(n.runs_deleted_before, 'epoch')::date as since,
    ((now() at time zone 'UTC')::date - n.run_retention_days)::date as before
from namespaces n
where n.runs_deleted_before is distinct from greatest(
    n.runs_deleted_before, (now() at time zone 'UTC')::date - n.run_retention_days
)
order by n.name;

-- name: OldestRunsDays :one
-- The days of the oldest partition of runs that has days from one on and before another. It returns
-- no row if there is none. It locks no partition.
select p.first_day, p.last_day
from runs_partitions p
where p.first_day < @before::date and p.last_day >= @since::date
order by p.first_day
limit 1;

-- name: ListJobsWithRuns :many
-- The jobs of a namespace after a place, newest first. A deleted job has runs, too; it keeps its
-- place, so a walk over all pages misses no job that is deleted meanwhile.
(
    select j.created_at, j.id
    from jobs j
    where j.namespace = @namespace and j.deleted_at is null and (j.created_at, j.id) < (@after_created_at::timestamptz, @after_id::uuid)
    order by j.created_at desc, j.id desc
    limit @max_rows
)
union all
(
    select j.created_at, j.id
    from jobs j
    where j.namespace = @namespace and j.deleted_at is not null and (j.created_at, j.id) < (@after_created_at::timestamptz, @after_id::uuid)
    order by j.created_at desc, j.id desc
    limit @max_rows
)
order by created_at desc, id desc
limit @max_rows;

-- name: DeleteRunsOfJobs :one
-- Deletes some runs of these jobs of a namespace from one instant on and before another, which lie
-- in one partition, so that it locks no other. It deletes nothing if the namespace does not keep
-- its runs for so many days any more. Two sessions that do this at once delete each row once: what
-- one has found the other may have deleted, so fewer than @max_rows found, not deleted, means that
-- none is left.
with old as (
    -- As many as one transaction is to delete.
    select r.job_id, r.scheduled_for
    from runs r
    where r.job_id = any(@job_ids::uuid[]) and r.scheduled_for >= @since::timestamptz and r.scheduled_for < @before::timestamptz
      and exists (select from namespaces n where n.name = @namespace and n.run_retention_days = @days::integer)
    limit @max_rows
), deleted as (
    delete from runs r
    using old o
    where r.job_id = o.job_id and r.scheduled_for = o.scheduled_for
      and r.scheduled_for >= @since::timestamptz and r.scheduled_for < @before::timestamptz
    returning r.job_id
)
select (select count(*) from old) as found, (select count(*) from deleted) as deleted;

-- name: NoteRunsDeleted :execrows
-- Stores that a namespace has no runs of the days before one any more. It never goes back, whoever
-- stores it. It stores nothing if the namespace does not keep its runs for so many days any more.
update namespaces
set runs_deleted_before = greatest(runs_deleted_before, @before::date)
where name = @name and run_retention_days = @days::integer;

-- name: PurgeNamespaces :one
-- Removes the deleted namespaces whose jobs are purged, with their keys, and returns how many. An
-- instance that has not heard of a deletion creates no job in the namespace after a minute: it
-- knows a namespace for some seconds only. Two sessions that do this at once remove each row once.
with gone as (
    delete from namespaces n
    where n.deleted_at < now() - interval '1 minute'
      and not exists (select from jobs j where j.namespace = n.name and j.deleted_at is null)
      and not exists (select from jobs j where j.namespace = n.name and j.deleted_at is not null)
    returning n.name
), forgotten as (
    -- They are revoked already.
    delete from keys k
    using gone g
    where k.namespace = g.name
), uncounted as (
    delete from run_stats s
    using gone g
    where s.namespace = g.name
)
select count(*)
from gone;
