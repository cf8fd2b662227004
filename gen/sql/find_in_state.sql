-- Generated from sql/templates/find_in_state.sql. DO NOT EDIT.

-- The statements that name jobs in a state by a small index, for lists by the last run and by
-- health. They are planned for each execution and take no lock.

-- name: ListNotSucceeded :many
-- The jobs of a namespace whose last run ended with one of some statuses, SUCCEEDED not among them,
-- or that are failing: those of which the due row knows the last run, and those of which the job
-- does. It returns at most max_rows, and reads only jobs whose last run did not succeed, as far as
-- the job or its due row knows.
select c.id::uuid as id
from (
    (
        select j.id
        from due d
        cross join lateral (
            select o.id
            from jobs o
            where o.id = d.job_id and o.namespace = @namespace and o.deleted_at is null
              and d.last_run_for > coalesce(o.last_run_for, '-infinity') and not (@is_failing::boolean and o.status = 'PAUSED')
            limit 1
        ) j
        where d.carries_schedule and (d.last_run_status <> 'SUCCEEDED' or d.failures > 0)
          and case
              when @is_failing::boolean then d.failures > 0
              else d.last_run_status = any(sqlc.narg(statuses)::text::run_status[])
          end
        limit @max_rows
    )
    union
    (
        select j.id
        from jobs j
        left join due d on d.job_id = j.id and d.carries_schedule and d.last_run_for > j.last_run_for
        where j.namespace = @namespace and j.deleted_at is null and (j.last_run_status <> 'SUCCEEDED' or j.failures > 0)
          and d.job_id is null
          and case
              when @is_failing::boolean then j.status <> 'PAUSED' and j.failures > 0
              else j.last_run_status = any(sqlc.narg(statuses)::text::run_status[])
          end
        limit @max_rows
    )
) c
limit @max_rows;

-- name: ListLate :many
-- The jobs of a namespace with a run that is ready since a while and that nobody holds (is_late):
-- of instances, and of the workers of each queue. It returns at most max_rows. It reads in the
-- order of the index: a scan that collects what it finds there first would meet the places that
-- rows have left again and again, until they are vacuumed.
with recursive queue as (
    (
        select d.queue as name
        from due d
        where d.awaits_worker and d.queue > @first_queue::text and d.queue < @last_queue::text
        order by d.queue
        limit 1
    )
    union all
    select n.name
    from queue q
    cross join lateral (
        select d.queue as name
        from due d
        where d.awaits_worker and d.queue > q.name and d.queue < @last_queue::text
        order by d.queue
        limit 1
    ) n
)
select c.id::uuid as id
from (
    (
        select j.id
        from due d
        cross join lateral (
            select o.id
            from jobs o
            where o.id = d.job_id and o.namespace = @namespace and o.deleted_at is null
            limit 1
        ) j
        where not d.awaits_worker and is_late(d.ready_at, d.lease_id, d.awaits_worker, d.queue)
        order by d.ready_at
        limit @max_rows
    )
    union
    (
        select n.job_id
        from queue q
        cross join lateral (
            select d.job_id
            from due d
            where d.queue = q.name and not is_of_connection(q.name) and d.awaits_worker
              and is_late(d.ready_at, d.lease_id, d.awaits_worker, d.queue)
            limit @max_rows
        ) n
        limit @max_rows
    )
) c
limit @max_rows;

-- name: ListPaused :many
-- The jobs of a namespace that are paused. It returns at most max_rows.
select id
from jobs
where namespace = @namespace and status = 'PAUSED' and deleted_at is null
limit @max_rows;

-- name: ListNeverRan :many
-- The jobs of a namespace of which no run has ended, as far as their due rows know, or the jobs
-- without a schedule themselves. It returns at most max_rows.
(
    select j.id
    from due d
    cross join lateral (
        select o.id
        from jobs o
        where o.id = d.job_id and o.namespace = @namespace and o.deleted_at is null
        limit 1
    ) j
    where d.carries_schedule and d.last_run_for is null
    limit @max_rows
)
union all
(
    select id
    from jobs
    where namespace = @namespace and (on_demand or starts_on is not null) and deleted_at is null and last_run_for is null
    limit @max_rows
)
limit @max_rows;
