-- The statements by which instances claim rows of due, and free them. docs/performance.md,
-- "Plans", explains their shape: why they look at candidates first, and what the arrays are for.

-- name: Claim :many
-- Claims up to max_rows rows that are ready, or will be within @ahead, under the caller's lease and
-- one token.
--
-- Safe under concurrency: rows that another claim is taking are skipped, not waited for, so claims
-- never queue. A lease that has expired claims nothing. A candidate that an edit changed while this
-- statement ran is locked in another version than the one seen; the next claim takes it.
--
-- It reads the index from @since on: the caller claims that nothing before it can be claimed
-- (OldestReady checks that). read_at is the database's clock, read after the rows; the caller
-- starts no run before its instant by that clock.
with candidate as (
    -- The rows to claim, locked. A locked row's place (ctid) is known, so no index finds it again.
    select d.ctid
    from due d
    where d.ready_at >= @since::timestamptz
      and d.ready_at <= now() + @ahead::interval
      and not d.awaits_worker
      and d.lease_id is null
      and exists (select from leases l where l.id = @lease_id and l.expires_at > now())
    order by d.ready_at
    limit @max_rows
    for update of d skip locked
), claimed as (
    -- The rows as they are once they are claimed. Attempt 1 starts when it is claimed, or at its
    -- instant if it is claimed ahead.
    update due d
    set lease_id = @lease_id, token = @token, attempt = d.attempt + 1,
        started_at = least(d.started_at, greatest(now(), d.ready_at))
    where d.ctid = any(array(select ctid from candidate))
    returning d.*
)
select sqlc.embed(claimed), sqlc.embed(j), clock_timestamp()::timestamptz as read_at
from claimed
join jobs j on j.id = claimed.job_id;

-- name: OldestReady :one
-- The first instant before @before at which a row is ready that nobody holds: a claim that began to
-- read at @before has missed it.
select d.ready_at
from due d
where d.ready_at < @before::timestamptz and not d.awaits_worker and d.lease_id is null
order by d.ready_at
limit 1;

-- name: NextReady :one
-- When the next row becomes ready that nobody holds, after what the claim just now could take; a
-- day from now if there is none. The claim took rows until its own now() + @ahead, which is in the
-- past by now; @horizon is an instant that the caller knows to be no later. So this reads few
-- entries of the index.
select
    coalesce((
        select d.ready_at
        from due d
        where d.ready_at > least(@horizon::timestamptz, now() + @ahead::interval) and not d.awaits_worker and d.lease_id is null
        order by d.ready_at
        limit 1
    ), now() + interval '1 day')::timestamptz as ready_at,
    clock_timestamp()::timestamptz as read_at;

-- name: FreeAbandoned :one
-- Frees the runs whose lease has expired or is gone, and deletes expired leases. Each run then
-- waits where its job is executed now, because its former executor may be gone. The lost attempt is
-- stored with the run's failed attempts, with who executed it. Returns how many runs it freed, and
-- in how long the next lease expires unless it is renewed: a day if there is none.
--
-- Safe under concurrency: two instances that do it at once free each run once, because a row that
-- was freed since this statement began has no lease, and one that was claimed again has another
-- token. Looking at the lease again would not help: PostgreSQL checks the conditions on a changed
-- row again, but not what was found to be missing elsewhere. Two of these statements may lock rows
-- in different orders. If they deadlock, PostgreSQL ends one, and its duty tries again.
--
-- A claim that commits after its lease expired is freed by the next call. No row is claimed a
-- minute ahead, so the index on ready_at bounds what is read. Many abandoned runs are freed a part
-- at a time: more says that some may be left.
with held as (
    -- The rows held by instances whose lease has expired or is gone.
    select d.job_id, d.scheduled_for, d.token, d.lease_id
    from due d
    where d.ready_at <= now() + interval '1 minute'
      and not d.awaits_worker
      and d.lease_id is not null
      and not exists (select from leases l where l.id = d.lease_id and l.expires_at > now())
    limit 5000
), expired as (
    -- The leases that have expired. An instance's lease stays until all of its runs are freed,
    -- because it tells who held them.
    delete from leases
    where id in (
        select id
        from leases
        where expires_at <= now() and (job_ids is not null or (select count(*) from held) < 5000)
        order by id
        limit 500
        for update skip locked
    )
    returning id, job_ids, scheduled_fors
), abandoned as (
    select job_id, scheduled_for, token, lease_id
    from held
    union
    -- The rows held by workers whose lease has expired. The lease lists them.
    select d.job_id, d.scheduled_for, d.token, d.lease_id
    from (
        select id as lease_id, unnest(job_ids) as job_id, unnest(scheduled_fors) as scheduled_for
        from expired
        where job_ids is not null
    ) h
    join due d on d.job_id = h.job_id and d.scheduled_for = h.scheduled_for and d.lease_id = h.lease_id
    order by job_id, scheduled_for
), lost as (
    -- The same rows, looked up by key, with their job, and with the failed attempts that they have
    -- then. A run that had used up its attempts was claimed only to be ended: no attempt was lost.
    select a.job_id, a.scheduled_for, a.token, j.first_queue, j.max_attempts, j.qualified_group,
        case
            when d.attempt > j.max_attempts then d.failed_attempts
            else add_lost_attempt(
                d.failed_attempts, d.attempt,
                greatest(d.started_at, d.ready_at, case when l.duration is not null then l.created_at end), now(), l.holder
            )
        end as failed_attempts
    from (
        select
            unnest(array(select job_id from abandoned)) as job_id,
            unnest(array(select scheduled_for from abandoned)) as scheduled_for,
            unnest(array(select token from abandoned)) as token,
            unnest(array(select lease_id from abandoned)) as lease_id
    ) a
    join due d on d.job_id = a.job_id and d.scheduled_for = a.scheduled_for
    join jobs j on j.id = a.job_id
    left join leases l on l.id = a.lease_id
), freed as (
    update due d
    set lease_id = null, queue = l.first_queue, concurrency_group = l.qualified_group,
        awaits_worker = awaits_worker(l.first_queue, d.cancel_reason, d.attempt, l.max_attempts),
        attempt = d.attempt - (d.attempt > l.max_attempts)::integer, failed_attempts = l.failed_attempts
    from lost l
    where d.job_id = l.job_id and d.scheduled_for = l.scheduled_for and d.token = l.token and d.lease_id is not null
    returning d.job_id
)
select
    (select count(*) from freed) as freed,
    ((select count(*) from expired) >= 500 or (select count(*) from held) >= 5000)::boolean as more,
    coalesce(
        (select min(l.expires_at) from leases l where l.expires_at > now()) - clock_timestamp(), interval '1 day'
    )::interval as next_expiry_in;

-- name: FreeLost :execrows
-- Frees the rows that an instance holds under tokens that it does not know: a claim was committed
-- and its answer was lost. Nobody has begun these runs, so their attempt does not count, and each
-- waits where its job is executed now. Call it only while no claim of this instance is in flight.
update due d
set lease_id = null, attempt = d.attempt - 1, started_at = case when d.attempt > 1 then d.started_at end,
    (queue, concurrency_group, awaits_worker) = (
        select j.first_queue, j.qualified_group, awaits_worker(j.first_queue, d.cancel_reason, (d.attempt - 1)::smallint, j.max_attempts)
        from jobs j
        where j.id = d.job_id
    )
where d.ready_at <= now() + interval '1 minute'
  and not d.awaits_worker
  and d.lease_id = @lease_id
  and d.token <> all(@known_tokens::bigint[]);
