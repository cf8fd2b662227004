-- The statements by which instances give the runs of concurrency groups their places. A group's
-- runs wait in the queue <namespace>/=~<name>, which is also their concurrency_group.

-- name: LockGroups :many
-- Locks concurrency groups until the transaction ends, and returns those that it has locked. What
-- another instance has locked is skipped: that one serves the group at the moment.
select g.queue::text as queue
from (select unnest(@queues::text[]) as queue) g
where pg_try_advisory_xact_lock(hashtextextended('punctual concurrency group ' || g.queue, 0));

-- name: GivePlaces :many
-- Gives runs of concurrency groups their places, after LockGroups in the same transaction: no more
-- than the bound of each job leaves in its group. A run for a worker waits in its worker's queue
-- from now on, and any other for an instance (Claim). It keeps its place until it ends. Returns
-- when the first of each queue is ready; an empty name stands for the instances.
--
-- The jobs of which the fewest runs have a place come first, then those that have not run for
-- longest, each with its first run, so that no job keeps the others out. The number of rows it
-- looks at is bounded, however many wait: the first 500 that carry a schedule, one for each job,
-- and the first 500 others, of which one job may have thousands. Of a group that is full, by the
-- greatest bound of some of the jobs that have a place, it looks at none.
--
-- Safe under concurrency: LockGroups excludes other instances, and this statement began after it,
-- so it counts the places that all others before it gave. A row that an edit changes while this
-- statement runs is locked in another version than the one seen (ctid), and gets no place now.
with in_place as materialized (
    -- The runs that have a place. One that is only to be ended has none: it was canceled, or its
    -- job was deleted, and it waits in no queue.
    select g.queue, h.job_id
    from (select unnest(@queues::text[]) as queue) g
    cross join lateral (
        select d.job_id
        from due d
        where d.concurrency_group = g.queue and not (d.awaits_worker and d.queue = d.concurrency_group)
          and (d.lease_id is not null or (d.cancel_reason is null and d.queue is not null))
    ) h
), concurrency_group as materialized (
    -- The groups that are not full, with how many runs have a place in each.
    select g.queue, coalesce(p.runs, 0) as runs
    from (select unnest(@queues::text[]) as queue) g
    left join (select queue, count(*) as runs from in_place group by queue) p on p.queue = g.queue
    cross join lateral (
        select max((select j.max_concurrency from jobs j where j.id = s.job_id)) as bound
        from (select i.job_id from in_place i where i.queue = g.queue limit 100) s
    ) b
    where p.queue is null or p.runs < b.bound
), waiting as materialized (
    -- The first rows that are ready, those that carry a schedule and the others, with what their
    -- jobs say. A job that has left the group since, which did not move a run that was to follow
    -- another, has no bound here.
    select g.queue, g.runs, w.*, j.qualified_queue as worker_queue,
        case when j.qualified_group = g.queue then j.max_concurrency else 2147483647 end as bound,
        case when w.carries_schedule then w.own_last_run_at else j.last_run_at end as last_run_at
    from concurrency_group g
    cross join lateral (
        (
            select d.job_id, d.scheduled_for, d.ready_at, d.carries_schedule, d.last_run_at as own_last_run_at, d.ctid as tid
            from due d
            where d.queue = g.queue and strpos(d.queue, '/=') > 0 and d.awaits_worker and d.carries_schedule
              and d.ready_at <= now() + @ahead::interval
            order by d.ready_at
            limit 500
        )
        union all
        (
            select d.job_id, d.scheduled_for, d.ready_at, d.carries_schedule, d.last_run_at, d.ctid
            from due d
            where d.queue = g.queue and strpos(d.queue, '/=') > 0 and d.awaits_worker and not d.carries_schedule
              and d.ready_at <= now() + @ahead::interval
            order by d.ready_at
            limit 500
        )
    ) w
    cross join lateral (
        select b.qualified_queue, b.qualified_group, b.max_concurrency, b.last_run_at
        from jobs b
        where b.id = w.job_id
        limit 1
    ) j
), numbered as (
    -- Each row with its turn: its number among its job's, of which those that have a place are
    -- first.
    select w.*, coalesce(p.runs, 0) + row_number() over (partition by w.queue, w.job_id order by w.ready_at) as turn
    from waiting w
    left join (select queue, job_id, count(*) as runs from in_place group by queue, job_id) p on p.queue = w.queue and p.job_id = w.job_id
    where w.bound > w.runs
), placed as (
    -- Each row with its place. What is ready comes before what will be.
    select n.*,
        row_number() over (
            partition by n.queue
            order by greatest(n.ready_at, now()), n.turn, n.last_run_at nulls first, n.ready_at, n.job_id
        ) as place
    from numbered n
), chosen as materialized (
    -- The rows that get a place.
    select p.job_id, p.scheduled_for, p.tid, p.worker_queue
    from placed p
    where p.place <= p.bound - p.runs
), candidate as materialized (
    -- The same, locked.
    select d.job_id, d.scheduled_for, c.worker_queue
    from due d
    join (
        select
            unnest(array(select job_id from chosen order by job_id, scheduled_for)) as job_id,
            unnest(array(select scheduled_for from chosen order by job_id, scheduled_for)) as scheduled_for,
            unnest(array(select tid from chosen order by job_id, scheduled_for)) as tid,
            unnest(array(select worker_queue from chosen order by job_id, scheduled_for)) as worker_queue
    ) c on d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    where d.ctid = c.tid
    for update of d skip locked
), given as (
    update due d
    set queue = coalesce(c.worker_queue, d.queue), awaits_worker = c.worker_queue is not null
    from (
        select
            unnest(array(select job_id from candidate)) as job_id,
            unnest(array(select scheduled_for from candidate)) as scheduled_for,
            unnest(array(select worker_queue from candidate)) as worker_queue
    ) c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    returning d.concurrency_group, coalesce(c.worker_queue, '') as queue, d.ready_at
)
select concurrency_group::text as concurrency_group, queue::text as queue, min(ready_at)::timestamptz as ready_at, count(*)::integer as runs
from given
group by concurrency_group, queue;

-- name: NextGrouped :many
-- After GivePlaces, in the same transaction: when the next row of each queue is ready.
select w.queue::text as queue, least(carrier.ready_at, other.ready_at, now() + interval '1 day')::timestamptz as ready_at,
    clock_timestamp()::timestamptz as read_at
from (select unnest(@queues::text[]) as queue) w
left join lateral (
    select d.ready_at
    from due d
    where d.queue = w.queue and strpos(d.queue, '/=') > 0 and d.awaits_worker and d.carries_schedule
    order by d.ready_at
    limit 1
) carrier on true
left join lateral (
    select d.ready_at
    from due d
    where d.queue = w.queue and strpos(d.queue, '/=') > 0 and d.awaits_worker and not d.carries_schedule
    order by d.ready_at
    limit 1
) other on true;
