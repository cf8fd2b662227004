-- The statements that find jobs by a filter (matches.sql). They are planned for each execution
-- (database.PlanEach), so that only the filters and the order that are given cost something. All
-- they lead to is read by other statements, so they take no lock and may be outdated at once. A
-- lateral join with a limit looks each job up by its key, however many there are.

-- name: MatchJobs :many
-- The jobs that match, in an order, after a place, and how many match. It finds them in any order,
-- by the best index, and then sorts them: so it takes as long as there are many, wherever in the
-- order they are. If max_matching match, there may be others, and it returns one of them. The
-- orders are those of FindJobs, and nextRunAt: as FindSoonest has it, and then those without a next
-- run, newest first. What an order does not need is not read, because an index may have all the
-- rest.
with matching as materialized (
    select
        j.id, case when @sort::text in ('createdAt', 'nextRunAt') then j.created_at end as created_at,
        case when @sort::text = 'name' then j.name end as name
    from jobs j
    where {{template "matches"}}
    limit @max_matching
)
select
    m.id::uuid as id, coalesce(d.ready_at, m.created_at, 'epoch')::timestamptz as at, coalesce(m.name, '')::text as name,
    (d.ready_at is null)::boolean as is_idle, (select count(*) from matching)::bigint as matching
from (
    -- Nothing is to be sorted if there may be others. A limit that is a sub-select also hides from
    -- PostgreSQL how many there are, for which it would compile the statement.
    select *
    from matching
    limit (select case when count(*) < @max_matching then count(*) else 1 end from matching)
) m
left join lateral (
    select r.ready_at
    from due r
    where r.job_id = m.id and r.carries_schedule
    limit 1
) d on @sort::text = 'nextRunAt'
where (select count(*) from matching) = @max_matching or case @sort::text
    when 'createdAt' then (m.created_at, m.id) < (@after_at::timestamptz, @after_id::uuid)
    when 'name' then (m.name, m.id) > (@after_name::text, @after_id::uuid)
    when 'id' then m.id > @after_id::uuid
    else case
        when @after_is_idle::boolean then d.ready_at is null and (m.created_at, m.id) < (@after_at::timestamptz, @after_id::uuid)
        else d.ready_at is null or (d.ready_at, m.id) > (@after_at::timestamptz, @after_id::uuid)
    end
end
order by
    d.ready_at, case when d.ready_at is not null then m.id end,
    m.created_at desc, case when m.created_at is not null then m.id end desc, m.name, m.id
limit @max_rows offset @skip_rows;

-- name: FindJobs :many
-- The jobs that match, in an order, after a place and up to another one, if before_id is not null:
-- createdAt is newest first, name from A to Z, and id by the id. Without skip_rows, the cost is the
-- same at any depth.
select
    j.id::uuid as id, coalesce(case when @sort::text = 'createdAt' then j.created_at end, 'epoch')::timestamptz as created_at,
    coalesce(case when @sort::text = 'name' then j.name end, '')::text as name
from jobs j
where {{template "matches"}}
  and (@sort::text <> 'createdAt' or (j.created_at, j.id) < (@after_created_at::timestamptz, @after_id::uuid))
  and (@sort::text <> 'createdAt' or sqlc.narg(before_id)::uuid is null
       or (j.created_at, j.id) > (@before_created_at::timestamptz, sqlc.narg(before_id)::uuid))
  and (@sort::text <> 'name' or (j.name, j.id) > (@after_name::text, @after_id::uuid))
  and (@sort::text <> 'name' or sqlc.narg(before_id)::uuid is null or (j.name, j.id) < (@before_name::text, sqlc.narg(before_id)::uuid))
  and (@sort::text <> 'id' or j.id > @after_id::uuid)
order by
    case when @sort::text = 'createdAt' then j.created_at end desc,
    case when @sort::text = 'createdAt' then j.id end desc,
    case when @sort::text = 'name' then j.name end,
    case when @sort::text <> 'createdAt' then j.id end
limit @max_rows offset @skip_rows;

-- name: FindPlace :many
-- The place of the job that stands so many rows behind a place, in an order of FindJobs among all
-- jobs of the namespace; no row if there are not so many. It reads the index, and no jobs.
(
    select c.id, c.created_at, ''::text as name
    from jobs c
    where @sort::text = 'createdAt' and c.namespace = @namespace and c.deleted_at is null
      and (c.created_at, c.id) < (@after_created_at::timestamptz, @after_id::uuid)
    order by c.created_at desc, c.id desc
    limit 1 offset @skip_rows
)
union all
(
    select n.id, 'epoch'::timestamptz, n.name
    from jobs n
    where @sort::text = 'name' and n.namespace = @namespace and n.deleted_at is null
      and (n.name, n.id) > (@after_name::text, @after_id::uuid)
    order by n.name, n.id
    limit 1 offset @skip_rows
);

-- name: FindSoonest :many
-- The active jobs that match, those that are due soonest first, after a place and before an
-- instant. It walks the rows that carry a schedule in the order in which they become ready: those
-- that await no worker, and those of each queue of the namespace.
{{template "with_queues"}}
(
    select d.job_id, d.ready_at
    from due d
    join jobs j on j.id = d.job_id
    where {{template "matches"}}
      and not d.awaits_worker and d.carries_schedule
      and d.ready_at >= @after_ready_at::timestamptz and (d.ready_at, d.job_id) > (@after_ready_at::timestamptz, @after_id::uuid)
      and d.ready_at < @before_ready_at::timestamptz
    order by d.ready_at, d.job_id
    limit @max_rows
)
union all
(
    select n.job_id, n.ready_at
    from queue q
    cross join lateral (
        select d.job_id, d.ready_at
        from due d
        join jobs j on j.id = d.job_id
        where {{template "matches"}}
          and d.queue = q.name and d.awaits_worker and d.carries_schedule
          and d.ready_at >= @after_ready_at::timestamptz and (d.ready_at, d.job_id) > (@after_ready_at::timestamptz, @after_id::uuid)
          and d.ready_at < @before_ready_at::timestamptz
        order by d.ready_at, d.job_id
        limit @max_rows
    ) n
)
order by ready_at, job_id
limit @max_rows;

-- name: FindReadyAt :one
-- Before which instant FindSoonest reads some rows of each kind, and no more: those that await no
-- worker, and those of each queue. It is @before_ready_at if there are not so many before that.
{{template "with_queues"}}
select coalesce(min(b.ready_at), @before_ready_at::timestamptz)::timestamptz as ready_at
from (
    (
        select d.ready_at
        from due d
        where not d.awaits_worker and d.ready_at >= @after_ready_at::timestamptz and d.ready_at < @before_ready_at
        order by d.ready_at
        limit 1 offset @rows
    )
    union all
    (
        select n.ready_at
        from queue q
        cross join lateral (
            select d.ready_at
            from due d
            where d.queue = q.name and d.awaits_worker and d.ready_at >= @after_ready_at::timestamptz and d.ready_at < @before_ready_at
            order by d.ready_at
            limit 1 offset @rows
        ) n
    )
) b;

-- name: ListSchedules :many
-- When the active jobs with some ids are due: what package policy knows of a job, and the row of
-- due that carries the schedule. It does not read payloads, of which many jobs have megabytes.
select
    j.id, j.key, j.name, j.interval_seconds, j.anchor_at, j.cron, j.rrule, j.time_zone, j.run_at, j.start_at, j.end_at, j.max_runs,
    j.jitter_seconds, j.on_skipped, j.calendar_days, j.ran_ahead_from, j.ran_ahead_until, j.run_count, d.scheduled_for, d.ready_at, d.revised_at, d.run_count as due_run_count,
    coalesce(d.attempt > 0 and d.started_at <= now(), false)::boolean as running
from (select unnest((select @ids::uuid[])) as id) i
join jobs j on j.id = i.id
join due d on d.job_id = j.id and d.carries_schedule
where j.namespace = @namespace and j.deleted_at is null;

-- name: ListFound :many
-- The jobs with some ids, as GetJob returns one.
select
    sqlc.embed(j), d.scheduled_for, d.revised_at, d.last_run_at as due_last_run_at,
    d.last_run_for as due_last_run_for, d.last_run_status as due_last_run_status, coalesce(d.failures, 0)::smallint as due_failures,
    coalesce(d.run_count, 0)::bigint as due_run_count, o.ended_run_count, o.is_running, o.is_late,
    coalesce(d.attempt > 0 and d.started_at <= now(), false)::boolean as running, x.overdue_since
from (select unnest((select @ids::uuid[])) as id) i
join jobs j on j.id = i.id
left join due d on d.job_id = j.id and d.carries_schedule
left join expected_successes x on x.job_id = j.id
cross join lateral (
    -- All rows of the job.
    select coalesce(sum(r.run_count), 0)::bigint as ended_run_count,
        coalesce(bool_or(r.attempt > 0 and r.started_at <= now()), false)::boolean as is_running,
        coalesce(bool_or(is_late(r.ready_at, r.lease_id, r.awaits_worker, r.queue)), false)::boolean as is_late
    from due r
    where r.job_id = j.id
) o
where j.namespace = @namespace and j.deleted_at is null;
