-- The statements that find jobs by a filter (find_jobs). They are planned for each execution
-- (database.PlanEach), so that only the filters and the order that are given cost something. All
-- they lead to is read by other statements, so they take no lock and may be outdated at once. A
-- lateral join with a limit looks each job up by its key, however many there are.

-- name: FindJobs :many
-- The jobs that match, in an order, after a place: createdAt is newest first, name from A to Z, and
-- id by the id. The cost is the same at any depth, but for skip_rows.
select j.id::uuid as id, j.created_at::timestamptz as created_at, j.name::text as name
from find_jobs(
    @namespace, sqlc.narg(ids)::uuid[], sqlc.narg(keys)::text[], sqlc.narg(name_pattern)::text, sqlc.narg(key_prefix)::text,
    sqlc.narg(label_names)::text[], sqlc.narg(label_predicate)::text, @needs_labels::boolean, sqlc.narg(statuses)::text, sqlc.narg(target_type)::text,
    sqlc.narg(queue)::text, sqlc.narg(concurrency_group)::text, sqlc.narg(pause_id)::uuid,
    sqlc.narg(last_run_statuses)::text[], sqlc.narg(healths)::text[]
) j
where (@sort::text <> 'createdAt' or (j.created_at, j.id) < (@after_created_at::timestamptz, @after_id::uuid))
  and (@sort::text <> 'name' or (j.name, j.id) > (@after_name::text, @after_id::uuid))
  and (@sort::text <> 'id' or j.id > @after_id::uuid)
order by
    case when @sort::text = 'createdAt' then j.created_at end desc,
    case when @sort::text = 'createdAt' then j.id end desc,
    case when @sort::text = 'name' then j.name end,
    case when @sort::text <> 'createdAt' then j.id end
limit @max_rows offset @skip_rows;

-- name: FindSoonest :many
-- The active jobs that match, those that are due soonest first, after a place. It walks the rows
-- that carry a schedule in the order in which they become ready: those that await no worker, and
-- those of each queue of the namespace.
(
    select d.job_id, d.ready_at
    from due d
    join find_jobs(
        @namespace, sqlc.narg(ids)::uuid[], sqlc.narg(keys)::text[], sqlc.narg(name_pattern)::text, sqlc.narg(key_prefix)::text,
        sqlc.narg(label_names)::text[], sqlc.narg(label_predicate)::text, @needs_labels::boolean, sqlc.narg(statuses)::text, sqlc.narg(target_type)::text,
        sqlc.narg(queue)::text, sqlc.narg(concurrency_group)::text, sqlc.narg(pause_id)::uuid,
        sqlc.narg(last_run_statuses)::text[], sqlc.narg(healths)::text[]
    ) j on j.id = d.job_id
    where not d.awaits_worker and d.carries_schedule
      and d.ready_at >= @after_ready_at::timestamptz and (d.ready_at, d.job_id) > (@after_ready_at::timestamptz, @after_id::uuid)
    order by d.ready_at, d.job_id
    limit @max_rows
)
union all
(
    select n.job_id, n.ready_at
    from queues_between(@first_queue, @last_queue) q
    cross join lateral (
        select d.job_id, d.ready_at
        from due d
        join find_jobs(
            @namespace, sqlc.narg(ids)::uuid[], sqlc.narg(keys)::text[], sqlc.narg(name_pattern)::text, sqlc.narg(key_prefix)::text,
            sqlc.narg(label_names)::text[], sqlc.narg(label_predicate)::text, @needs_labels::boolean, sqlc.narg(statuses)::text, sqlc.narg(target_type)::text,
            sqlc.narg(queue)::text, sqlc.narg(concurrency_group)::text, sqlc.narg(pause_id)::uuid,
            sqlc.narg(last_run_statuses)::text[], sqlc.narg(healths)::text[]
        ) j on j.id = d.job_id
        where d.queue = q.name and d.awaits_worker and d.carries_schedule
          and d.ready_at >= @after_ready_at::timestamptz and (d.ready_at, d.job_id) > (@after_ready_at::timestamptz, @after_id::uuid)
        order by d.ready_at, d.job_id
        limit @max_rows
    ) n
)
order by ready_at, job_id
limit @max_rows;

-- name: SortBySoonest :many
-- FindSoonest for jobs that are known. Those that carry no schedule are left out.
select d.job_id, d.ready_at
from (select unnest((select @ids::uuid[])) as id) i
join due d on d.job_id = i.id and d.carries_schedule
where (d.ready_at, d.job_id) > (@after_ready_at::timestamptz, @after_id::uuid)
order by d.ready_at, d.job_id
limit @max_rows;

-- name: CountFound :one
-- Counts the jobs that match no further than max_count, so that a list never reads a million rows
-- only to count them.
select count(*)
from (
    select
    from find_jobs(
        @namespace, sqlc.narg(ids)::uuid[], sqlc.narg(keys)::text[], sqlc.narg(name_pattern)::text, sqlc.narg(key_prefix)::text,
        sqlc.narg(label_names)::text[], sqlc.narg(label_predicate)::text, @needs_labels::boolean, sqlc.narg(statuses)::text, sqlc.narg(target_type)::text,
        sqlc.narg(queue)::text, sqlc.narg(concurrency_group)::text, sqlc.narg(pause_id)::uuid,
        sqlc.narg(last_run_statuses)::text[], sqlc.narg(healths)::text[]
    ) j
    limit @max_count
) as counted;

-- name: ListNotSucceeded :many
-- The jobs of a namespace whose last run ended with one of some statuses, SUCCEEDED not among them,
-- or that are failing. It returns at most max_rows, and reads only the jobs whose last run did not
-- succeed, as far as the job or its due row knows.
select c.id::uuid as id
from (
    (
        select j.id
        from due d
        cross join lateral (
            select o.id, o.status, d.last_run_for > coalesce(o.last_run_for, '-infinity') as is_known_later,
                o.last_run_status, o.failures
            from jobs o
            where o.id = d.job_id and o.namespace = @namespace and o.deleted_at is null
            limit 1
        ) j
        where d.carries_schedule and (d.last_run_status <> 'SUCCEEDED' or d.failures > 0)
          and case
              when @is_failing::boolean then j.status <> 'PAUSED' and case when j.is_known_later then d.failures else j.failures end > 0
              else case when j.is_known_later then d.last_run_status else j.last_run_status end::text = any(@statuses::text[])
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
              else j.last_run_status::text = any(@statuses::text[])
          end
        limit @max_rows
    )
) c
limit @max_rows;

-- name: ListLate :many
-- The jobs of a namespace with a run that is ready since a while and that nobody holds (is_late):
-- of instances, and of the workers of each queue. It returns at most max_rows.
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
        where not d.awaits_worker and is_late(d.ready_at, d.lease_id)
        limit @max_rows
    )
    union
    (
        select n.job_id
        from queues_between(@first_queue, @last_queue) q
        cross join lateral (
            select d.job_id
            from due d
            where d.queue = q.name and d.awaits_worker and is_late(d.ready_at, d.lease_id)
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
-- The jobs of a namespace of which no run has ended, as far as their due rows know. It returns at
-- most max_rows.
select j.id
from due d
cross join lateral (
    select o.id
    from jobs o
    where o.id = d.job_id and o.namespace = @namespace and o.deleted_at is null
    limit 1
) j
where d.carries_schedule and d.last_run_for is null
limit @max_rows;

-- name: ListFound :many
-- The jobs with some ids, as GetJob returns one.
select
    sqlc.embed(j), d.scheduled_for, d.revised_at, d.last_run_at as due_last_run_at,
    d.last_run_for as due_last_run_for, d.last_run_status as due_last_run_status, coalesce(d.failures, 0)::smallint as due_failures,
    coalesce(d.run_count, 0)::bigint as due_run_count, o.ended_run_count, o.is_running, o.is_late,
    coalesce(d.attempt > 0 and d.started_at <= now(), false)::boolean as running
from (select unnest((select @ids::uuid[])) as id) i
join jobs j on j.id = i.id
left join due d on d.job_id = j.id and d.carries_schedule
cross join lateral (
    -- All rows of the job.
    select coalesce(sum(r.run_count), 0)::bigint as ended_run_count,
        coalesce(bool_or(r.attempt > 0 and r.started_at <= now()), false)::boolean as is_running,
        coalesce(bool_or(is_late(r.ready_at, r.lease_id)), false)::boolean as is_late
    from due r
    where r.job_id = j.id
) o
where j.namespace = @namespace and j.deleted_at is null;
