-- What needs somebody's attention in a namespace. The statements that find jobs return their ids, a
-- bounded number of them by an index that has nobody else's, and another one reads what there is to
-- say of them (ListTroubled). They are planned for each execution and take no lock, so what they
-- find may be outdated at once. Jobs that are failing or late: ListNotSucceeded and ListLate.

-- name: ListOverdueJobs :many
-- The jobs of a namespace of which a success is overdue, the latest first.
select j.id
from expected_successes x
join jobs j on j.id = x.job_id
where x.namespace = @namespace and x.overdue_since is not null and j.deleted_at is null
order by x.overdue_since desc
limit @max_rows;

-- name: ListPausedByService :many
-- The jobs of a namespace that the service has paused, the latest first.
select j.id
from jobs j
where j.namespace = @namespace and j.paused_by_service and j.deleted_at is null
order by j.paused_since desc, j.id
limit @max_rows;

-- name: ListTroubled :many
-- What there is to say of jobs with a problem, of those of a namespace that have it: those that
-- have it since a short time first. Each row says how many there are.
select j.id, j.key, j.name, j.labels, j.status_reason, j.expect_success_within_seconds, p.since::timestamptz as since,
    j.last_run_for, j.last_run_status, j.failures, d.last_run_for as due_last_run_for, d.last_run_status as due_last_run_status,
    coalesce(d.failures, 0)::smallint as due_failures, l.queue, l.concurrency_group, count(*) over ()::integer as troubled
from (select unnest((select @ids::uuid[])) as id) i
join jobs j on j.id = i.id
left join due d on d.job_id = j.id and d.carries_schedule
left join expected_successes x on x.job_id = j.id
left join lateral (
    -- The run that is late the longest.
    select w.ready_at, w.queue, w.concurrency_group
    from due w
    where w.job_id = j.id and is_late(w.ready_at, w.lease_id, w.awaits_worker, w.queue)
    order by w.ready_at
    limit 1
) l on @problem::text = 'LATE'
cross join lateral (
    -- Since when the job has the problem. Null: it does not. Of a job that is failing, it is the
    -- instant of its last run, of which the row of due may know a later one than the job.
    select case @problem::text
        when 'FAILING' then case
            when j.status = 'PAUSED' then null
            when d.last_run_for > coalesce(j.last_run_for, '-infinity') then
                case when d.failures > 0 then d.last_run_for end
            when j.failures > 0 then j.last_run_for
        end
        when 'OVERDUE' then x.overdue_since
        when 'LATE' then l.ready_at
        when 'PAUSED_BY_SERVICE' then case when j.paused_by_service then j.paused_since end
    end as since
) p
where j.namespace = @namespace and j.deleted_at is null and p.since is not null
order by p.since desc, j.id
limit @max_rows;

-- name: ListUnattended :many
-- The queues between two names in which a run has waited for longer than @waited while no worker
-- holds any run of the queue, nor asks for one, and since when: those that wait the longest first.
-- It counts up to @max_count runs of each. It reads one entry of the index for each queue.
{{template "with_queues"}}
select u.queue::text as queue, u.since::timestamptz as since, (
        select count(*)
        from (
            select
            from due d
            where d.queue = u.queue and d.awaits_worker and d.ready_at <= now() and d.lease_id is null
            limit @max_count
        ) c
    )::integer as waiting
from (
    select f.queue, f.ready_at as since
    from queue q
    cross join lateral (
        select d.queue, d.ready_at
        from due d
        where d.queue = q.name and d.awaits_worker
        order by d.ready_at
        limit 1
    ) f
    where strpos(q.name, '/=') = 0 and f.ready_at < now() - @waited::interval
      and not exists (select from leases l where l.queue = q.name)
      and not exists (select from instances a where a.expires_at > now() and q.name = any(a.asked_queues))
    order by f.ready_at
    limit @max_rows
) u;

-- name: ListDownConnections :many
-- The connections of a namespace that are down, the latest first.
select c.key, c.base_url, s.down_since::timestamptz as down_since, s.reason
from connections c
join connection_states s on s.connection_id = c.id
where c.namespace = @namespace and s.down_since is not null
order by s.down_since desc, c.key
limit @max_rows;
