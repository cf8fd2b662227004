-- The statements by which instances claim runs within the limits of connections, and what they know
-- of connections together. A connection's runs wait in the queue <namespace>/=<key>.

-- name: ListLimited :many
-- The queues of connections and concurrency groups in which a row waits, after one of them
-- (@after), by name, and when the first row of each is ready; a day from now if all are held. It
-- reads two entries of the index for each queue.
with recursive queue as (
    -- From one queue to the next.
    (
        select d.queue as name, 1 as n
        from due d
        where strpos(d.queue, '/=') > 0 and d.queue > @after::text
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
    where q.n < @max_rows::integer
)
select q.name::text as queue, least(carrier.ready_at, other.ready_at, now() + interval '1 day')::timestamptz as ready_at
from queue q
left join lateral (
    select d.ready_at
    from due d
    where d.queue = q.name and strpos(d.queue, '/=') > 0 and d.awaits_worker and d.carries_schedule
    order by d.ready_at
    limit 1
) carrier on true
left join lateral (
    select d.ready_at
    from due d
    where d.queue = q.name and strpos(d.queue, '/=') > 0 and d.awaits_worker and not d.carries_schedule
    order by d.ready_at
    limit 1
) other on true
order by q.name;

-- name: LockLimited :many
-- Locks what instances know together of connections, by their queues, until the transaction ends.
-- What another instance has locked is skipped: that one serves the queue at the moment.
with wanted as materialized (
    select c.id, w.queue
    from (select unnest(@queues::text[]) as queue) w
    join connections c
        on c.namespace = split_part(w.queue, '/=', 1) and c.key = substr(w.queue, strpos(w.queue, '/=') + 2) collate "C"
)
select w.queue::text as queue, s.connection_id
from connection_states s
join wanted w on w.id = s.connection_id
order by s.connection_id
for update of s skip locked;

-- name: ClaimLimited :many
-- Like Claim, for the queues of connections, after LockLimited in the same transaction: claims no
-- more of a connection than its limits leave. Each run gets the instant at which it may start as
-- ready_at: max_per_second instants a second, evenly spaced, none of them in the past, and none
-- later than within @ahead. While a connection is down, a single run is claimed when its time to
-- wait is over: it shows whether the connection works again.
--
-- The jobs of which the fewest runs are held come first, then those that have not run for longest,
-- each with its first run, so that no job keeps the others out. The number of rows it looks at is
-- bounded, however many wait: the first 1,000 that carry a schedule, one for each job, and the
-- first 5,000 others, of which one job may have thousands.
--
-- Safe under concurrency: LockLimited excludes other instances, and this statement began after it,
-- so it counts what all claims before it took. An edit may move a row elsewhere while this
-- statement runs; candidate locks rows and then checks its conditions again.
with state as materialized (
    -- The connections: how many runs may begin, from when on, and how far apart.
    select w.queue, s.connection_id, c.max_concurrency, s.down_since is not null as is_down, c.is_adaptive,
        greatest(s.next_start_at, s.waits_until, now()) as first_at, now() + interval '1 minute' as in_a_minute,
        case when c.max_per_second is null then interval '0' else interval '1 second' / c.max_per_second end as apart,
        case
            when greatest(s.served_at, s.waits_until, s.next_start_at) < now() - interval '10 seconds'
                then now() - interval '10 seconds'
            else s.served_since
        end as served_since
    from (select unnest(@connection_ids::uuid[]) as id, unnest(@queues::text[]) as queue) w
    join connections c on c.id = w.id
    join connection_states s on s.connection_id = c.id
), held as materialized (
    -- The runs that are held.
    select s.queue, h.job_id
    from state s
    cross join lateral (
        select d.job_id
        from due d
        where d.queue = s.queue and strpos(d.queue, '/=') > 0 and not d.awaits_worker and d.lease_id is not null
    ) h
), free as materialized (
    -- The connections of which another run may begin.
    select s.*, case when s.is_down then 1 else s.max_concurrency - h.runs end as places
    from state s
    cross join lateral (select count(*) as runs from held where held.queue = s.queue) h
    where h.runs < s.max_concurrency and s.first_at <= now() + @ahead::interval
), waiting as materialized (
    -- The first rows that are ready: those that carry a schedule, and the others.
    select f.queue, w.*
    from free f
    cross join lateral (
        (
            select d.job_id, d.scheduled_for, d.ready_at, d.last_run_at, d.carries_schedule
            from due d
            where d.queue = f.queue and strpos(d.queue, '/=') > 0 and d.awaits_worker and d.carries_schedule
              and d.ready_at <= now() + @ahead::interval and d.lease_id is null
            order by d.ready_at
            limit 1000
        )
        union all
        (
            select d.job_id, d.scheduled_for, d.ready_at, d.last_run_at, d.carries_schedule
            from due d
            where d.queue = f.queue and strpos(d.queue, '/=') > 0 and d.awaits_worker and not d.carries_schedule
              and d.ready_at <= now() + @ahead::interval and d.lease_id is null
            order by d.ready_at
            limit 5000
        )
    ) w
), numbered as (
    -- Each row with its turn: its number among its job's, of which those that are held are first.
    select n.*, row_number() over (partition by n.queue, n.job_id order by n.ready_at) as turn
    from (
        select * from waiting
        union all
        select h.queue, h.job_id, null, '-infinity', null, null from held h
    ) n
), placed as (
    -- Each row with its place. What is ready comes before what will be. Of a job without a
    -- schedule, the job knows when it ran last.
    select n.job_id, n.scheduled_for, n.ready_at, n.queue, f.places, f.first_at, f.apart, f.served_since,
        row_number() over (
            partition by n.queue
            order by
                greatest(n.ready_at, now()), n.turn,
                case
                    when n.carries_schedule then n.last_run_at
                    when n.turn = 1 then (select j.last_run_at from jobs j where j.id = n.job_id)
                end nulls first,
                n.ready_at, n.job_id
        ) as place
    from numbered n
    join free f on f.queue = n.queue
    where n.scheduled_for is not null
), timed as materialized (
    -- The rows that have a place, with when they may start: when they are ready, and not before the
    -- distance from the row before.
    select p.*, p.apart * p.place + max(greatest(p.ready_at, p.first_at) - p.apart * p.place) over (partition by p.queue order by p.place) as start_at
    from placed p
    where p.place <= p.places
), candidate as materialized (
    -- The rows to claim, locked. They are looked up by key, whatever PostgreSQL knows of the queue.
    select d.job_id, d.scheduled_for, t.start_at,
        d.held_until = t.ready_at or (t.ready_at = t.scheduled_for and t.ready_at < t.served_since) as was_unserved
    from due d
    join (
        select
            unnest(array(select job_id from timed)) as job_id,
            unnest(array(select scheduled_for from timed)) as scheduled_for,
            unnest(array(select ready_at from timed)) as ready_at,
            unnest(array(select start_at from timed)) as start_at,
            unnest(array(select served_since from timed)) as served_since,
            unnest(array(select queue from timed)) as queue
    ) t on d.job_id = t.job_id and d.scheduled_for = t.scheduled_for
    where t.start_at <= now() + @ahead::interval
      and d.lease_id is null
      and d.awaits_worker
      and (d.queue = t.queue) is true
      and exists (select from leases l where l.id = @lease_id and l.expires_at > now())
    order by t.start_at
    limit @max_rows
    for update of d skip locked
), claimed as (
    -- As in Claim.
    update due d
    set lease_id = @lease_id, token = @token, attempt = d.attempt + 1, awaits_worker = false, ready_at = c.start_at,
        started_at = least(d.started_at, c.start_at)
    from (
        select
            unnest(array(select job_id from candidate)) as job_id,
            unnest(array(select scheduled_for from candidate)) as scheduled_for,
            unnest(array(select start_at from candidate)) as start_at
    ) c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    returning d.*
), noted as (
    -- The connections, as they are then. While one is down, no other run begins until it is known
    -- how this one ended, or for a minute.
    update connection_states u
    set next_start_at = greatest(u.next_start_at, later(b.last_at, s.apart)),
        waits_until = case when s.is_down and b.last_at is not null then s.in_a_minute else u.waits_until end,
        served_at = now(), served_since = s.served_since
    from state s
    left join (select queue, max(ready_at) as last_at from claimed group by queue) b on b.queue = s.queue
    where u.connection_id = s.connection_id
)
select sqlc.embed(claimed), sqlc.embed(j), clock_timestamp()::timestamptz as read_at, s.connection_id, s.is_adaptive,
    s.is_down::boolean as is_down,
    coalesce((
        select c.was_unserved
        from candidate c
        where c.job_id = claimed.job_id and c.scheduled_for = claimed.scheduled_for
    ), false)::boolean as was_unserved
from claimed
join state s on s.queue = claimed.queue
join jobs j on j.id = claimed.job_id;

-- name: NextLimited :many
-- After ClaimLimited, in the same transaction: when the next row of each queue is ready, from when
-- on the connection lets it start, and whether all of its places are taken.
select w.queue::text as queue, least(carrier.ready_at, other.ready_at, now() + interval '1 day')::timestamptz as ready_at,
    greatest(s.next_start_at, s.waits_until, 'epoch')::timestamptz as starts_at,
    (
        select count(*)
        from due d
        where d.queue = w.queue and strpos(d.queue, '/=') > 0 and not d.awaits_worker and d.lease_id is not null
    ) >= c.max_concurrency as is_full,
    clock_timestamp()::timestamptz as read_at
from (select unnest(@connection_ids::uuid[]) as id, unnest(@queues::text[]) as queue) w
join connections c on c.id = w.id
join connection_states s on s.connection_id = c.id
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

-- name: MarkConnectionDown :one
-- Says that a connection is down, unless it is known. No run begins for @wait. Of several instances
-- that find it out at once, the first does it, and the others get no row.
update connection_states s
set down_since = now(), reason = @reason::text, failed_probes = 0, waits_until = greatest(s.waits_until, now() + @wait::interval)
from connections c
where s.connection_id = @connection_id and c.id = s.connection_id and s.down_since is null
returning c.namespace, c.key, s.down_since::timestamptz as down_since;

-- name: MarkConnectionStillDown :exec
-- Says that a connection which is down was called, and is down still. The time until the next call
-- doubles each time, from 5 seconds to a minute. @jitter, from 0 to 1, shortens it by up to a
-- fifth, so that connections which went down together are not called together.
update connection_states
set reason = @reason::text, failed_probes = least(failed_probes + 1, 100),
    waits_until = later(
        now(), make_interval(secs => least(60, 5 * power(2, least(failed_probes + 1, 4))) * (1 - 0.2 * @jitter::double precision))
    )
where connection_id = @connection_id and down_since is not null;

-- name: MarkConnectionUp :one
-- Says that a connection which was down works again. The first to say it gets the row.
update connection_states s
set down_since = null, reason = null, failed_probes = 0, waits_until = now()
from connections c
where s.connection_id = @connection_id and c.id = s.connection_id and s.down_since is not null
returning c.namespace, c.key, s.waits_until as recovered_at;

-- name: DelayConnection :exec
-- Lets no run of a connection begin for a while, because its receiver has asked for that.
update connection_states
set waits_until = now() + @wait::interval, reason = case when down_since is null then @reason::text else reason end
where connection_id = @connection_id and waits_until < now() + @wait::interval;
