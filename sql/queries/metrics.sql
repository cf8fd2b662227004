-- What the metrics of an instance say of the service as a whole. All of it is bounded: it looks at
-- no more than @max_rows rows of a kind, however many there are, and nobody waits for it. Each
-- statement is a single snapshot that changes nothing.

-- name: MeasureDue :one
-- How many rows are ready that instances could claim at once, of the @max_rows rows that have been
-- ready for longest, and for how long the first of them has been. Also how many rows wait for their
-- concurrency groups: up to @max_rows of each of the groups among the first 1,000 queues with
-- limits.
with recursive queue as (
    -- From one queue of a connection or a group to the next.
    (
        select d.queue as name, 1 as n
        from due d
        where strpos(d.queue, '/=') > 0
        order by d.queue
        limit 1
    )
    union all
    select o.queue, q.n + 1
    from queue q
    cross join lateral (
        select d.queue
        from due d
        where strpos(d.queue, '/=') > 0 and d.queue > q.name
        order by d.queue
        limit 1
    ) o
    where q.n < 1000
)
select
    (
        select coalesce(sum(c.runs), 0)
        from queue q
        cross join lateral (
            select count(*) as runs
            from (
                select
                from due d
                where d.queue = q.name and strpos(d.queue, '/=') > 0 and d.awaits_worker
                  and d.carries_schedule = any('{true,false}'::boolean[]) and d.ready_at <= now()
                limit @max_rows
            ) w
        ) c
        where strpos(q.name, '/=~') > 0
    )::integer as grouped,
    count(*)::integer as due,
    coalesce(extract(epoch from now() - min(r.ready_at)), 0)::double precision as oldest_age
from (
    select d.ready_at, d.lease_id
    from due d
    where not d.awaits_worker and d.ready_at <= now()
    order by d.ready_at
    limit @max_rows
) r
where r.lease_id is null;

-- name: MeasureConnections :many
-- The first @max_connections connections by name: whether each is down, and how many runs wait for
-- its limits, counted up to @max_rows.
select c.namespace, c.key, (s.down_since is not null)::boolean as is_down,
    (
        select count(*)
        from (
            select
            from due d
            where d.queue = c.namespace || '/=' || c.key and strpos(d.queue, '/=') > 0 and d.awaits_worker and d.ready_at <= now()
            limit @max_rows
        ) w
    )::integer as waiting
from connections c
left join connection_states s on s.connection_id = c.id
order by c.namespace, c.key
limit @max_connections;

-- name: MeasureState :one
-- How many connections there are and how many of them are down; how many events wait to start a
-- run, and for how long the first of those that it looks at; how many jobs are overdue, and how
-- many queues nobody serves; how many instances are alive.
select
    (select count(*) from connections)::integer as connections,
    (
        select count(*)
        from connection_states s
        join connections c on c.id = s.connection_id
        where s.down_since is not null
    )::integer as connections_down,
    p.pending::integer as events_pending,
    p.oldest_age::double precision as events_oldest_age,
    (
        select count(*)
        from (
            select
            from expected_successes x
            where x.overdue_since is not null
            limit @max_rows
        ) o
    )::integer as overdue_jobs,
    (select count(*) from unattended_queues)::integer as unattended_queues,
    (select count(*) from instances i where i.expires_at > now())::integer as instances
from (
    select count(*) as pending, greatest(coalesce(extract(epoch from now() - min(e.ready_at)), 0), 0) as oldest_age
    from (
        select ready_at
        from event_starts
        limit @max_rows
    ) e
) p;

-- name: MeasureFailing :one
-- How many active jobs have failed last, and how many jobs the service has paused, each counted up
-- to @max_rows. Of the job and the row of due that carries its schedule, the one with the later run
-- counts.
select
    (
        select count(*)
        from (
            select
            from due d
            join jobs j on j.id = d.job_id
            where d.carries_schedule and (d.last_run_status <> 'SUCCEEDED' or d.failures > 0) and d.last_run_status = 'FAILED'
              and j.deleted_at is null and coalesce(j.last_run_for, '-infinity') <= d.last_run_for
            limit @max_rows
        ) f
    )::integer + (
        select count(*)
        from (
            select
            from jobs j
            left join due d on d.job_id = j.id and d.carries_schedule
            where j.last_run_status = 'FAILED' and j.deleted_at is null and (j.last_run_status <> 'SUCCEEDED' or j.failures > 0) and j.status = 'ACTIVE'
              and j.last_run_for > coalesce(d.last_run_for, '-infinity')
            limit @max_rows
        ) f
    )::integer as active,
    (
        select count(*)
        from (
            select
            from jobs j
            where j.paused_by_service and j.deleted_at is null
            limit @max_rows
        ) f
    )::integer as paused;

-- name: MeasureJobs :many
-- The first @max_jobs jobs that want metrics of their own, with when the last run that has
-- succeeded began, in seconds since 1970, and whether a success is overdue. Where the last run has
-- succeeded, that is known; otherwise its runs tell, of which it reads little more than those that
-- have failed since. Zero: none has succeeded, or its history is gone.
select j.namespace, coalesce(j.key, j.id::text)::text as name, (x.overdue_since is not null)::boolean as is_overdue,
    coalesce(extract(epoch from case
        when l.status = 'SUCCEEDED' then l.started_at
        else (
            select r.started_at
            from (
                select o.started_at, o.status
                from runs o
                where o.job_id = j.id
                order by o.scheduled_for desc
                limit l.failures + 100
            ) r
            where r.status = 'SUCCEEDED'
            limit 1
        )
    end), 0)::double precision as succeeded_at
from (
    select id, namespace, key, last_run_for, last_run_status, last_run_at, failures
    from jobs
    where metrics and deleted_at is null
    order by namespace, id
    limit @max_jobs
) j
left join expected_successes x on x.job_id = j.id
left join due d on d.job_id = j.id and d.carries_schedule
cross join lateral (
    select case when later.is_of_job then j.last_run_status else d.last_run_status end as status,
        case when later.is_of_job then j.last_run_at else d.last_run_at end as started_at,
        case when later.is_of_job then j.failures else coalesce(d.failures, 0) end as failures
    from (select j.last_run_for >= coalesce(d.last_run_for, '-infinity') as is_of_job) later
) l;
