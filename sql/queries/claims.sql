-- name: Claim :many
-- Takes up to max_rows rows that are due, or will be within the time ahead, under the caller's lease and one new token.
-- Rows another claim is taking are skipped, not waited for, so claimers never queue behind each other. A lease that has
-- run out claims nothing. Time is the database's: the answer brings its clock along, read after the rows, and the
-- caller starts none before its instant by that clock.
-- It reads the index from @since on: before that, the caller says, is nothing to claim but what is held, and the dead
-- entries of earlier claims, which stay until vacuum may remove them. OldestReady tells when that was wrong.
-- The array hides from the planner how many rows a limit that it does not know may give: it expects ten, and looks each up
-- at any size of the tables, instead of reading all of them. A row is locked, so its place (ctid) is known and no index is
-- needed to find it again. One that an edit changed while this statement ran is locked elsewhere than seen, and left for the
-- next claim.
with candidate as (
    select d.ctid
    from due d
    where d.ready_at >= @since::timestamptz
      and d.ready_at <= now() + @ahead::interval
      and not d.awaits_worker
      and d.lease_id is null
      and d.concurrency_group is null
      and exists (select from leases l where l.id = @lease_id and l.expires_at > now())
    order by d.ready_at
    limit @max_rows
    for update of d skip locked
), claimed as (
    update due d
    set lease_id = @lease_id, token = @token, attempt = d.attempt + 1,
        started_at = coalesce(d.started_at, greatest(now(), d.ready_at))
    where d.ctid = any(array(select ctid from candidate))
    returning d.job_id, d.scheduled_for, d.ready_at, d.carries_schedule, d.queue, d.trigger, d.retry_of, d.token, d.attempt, d.started_at,
        d.cancel_reason, d.failed_attempts, d.buffered_for, d.revision, d.revised_at, d.run_count, d.failures
)
select c.job_id, c.scheduled_for, c.ready_at, c.carries_schedule, c.queue, c.trigger, c.retry_of, c.token, c.attempt,
    c.started_at::timestamptz as started_at, c.cancel_reason, c.failed_attempts, c.buffered_for, c.revision, c.revised_at,
    c.run_count, c.failures, sqlc.embed(j), clock_timestamp()::timestamptz as read_at
from claimed c
join jobs j on j.id = c.job_id;

-- name: OldestReady :one
-- The first instant before another at which a row is due that nobody holds: what claims since then have passed over.
select d.ready_at
from due d
where d.ready_at < @before::timestamptz and not d.awaits_worker and d.lease_id is null and d.concurrency_group is null
order by d.ready_at
limit 1;

-- name: TakeTurn :exec
-- Lets one instance at a time claim runs of concurrency groups, until its transaction ends: in a transaction before
-- ClaimGrouped, which so sees what all claims before it have taken.
select pg_advisory_xact_lock(hashtextextended('punctual concurrency groups', 0));

-- name: ClaimGrouped :many
-- As Claim, for runs of concurrency groups and after TakeTurn: no more of a group than its bound leaves. First come the
-- jobs that have not run for longest, each with its first run, so that none keeps the others out. How many are looked at is
-- bounded, however many wait: of full groups only what is to end, and the rows that carry a schedule, one for each job, apart from
-- the others, of which one job may have thousands. What an edit moves elsewhere while this statement runs is not taken: where
-- candidate locks a changed row, PostgreSQL checks its conditions again.
with running as (
    select d.concurrency_group, count(*) as runs, max(j.max_concurrency) as bound
    from due d
    join jobs j on j.id = d.job_id
    where d.concurrency_group is not null and d.lease_id is not null
    group by d.concurrency_group
), seen as (
    (
        select d.job_id, d.scheduled_for, d.ready_at, d.last_run_at, d.concurrency_group
        from due d
        where d.concurrency_group is not null and not d.awaits_worker and d.lease_id is null and d.ready_at <= now() + @ahead::interval
          and d.carries_schedule
          and (d.cancel_reason is not null or d.concurrency_group not in (select r.concurrency_group from running r where r.runs >= r.bound))
        order by d.ready_at
        limit 10000
    )
    union all
    (
        select d.job_id, d.scheduled_for, d.ready_at, d.last_run_at, d.concurrency_group
        from due d
        where d.concurrency_group is not null and not d.awaits_worker and d.lease_id is null and d.ready_at <= now() + @ahead::interval
          and not d.carries_schedule
          and (d.cancel_reason is not null or d.concurrency_group not in (select r.concurrency_group from running r where r.runs >= r.bound))
        order by d.ready_at
        limit 10000
    )
), waiting as (
    select s.*, row_number() over (partition by s.job_id order by s.ready_at) as turn
    from seen s
), placed as (
    select w.job_id, w.scheduled_for, w.concurrency_group, j.max_concurrency - coalesce(r.runs, 0) as free,
        row_number() over (
            partition by w.concurrency_group order by w.turn, w.last_run_at nulls first, w.ready_at, w.job_id
        ) as place
    from waiting w
    join jobs j on j.id = w.job_id
    left join running r on r.concurrency_group = w.concurrency_group
), candidate as (
    select d.job_id, d.scheduled_for
    from due d
    join placed p on d.job_id = p.job_id and d.scheduled_for = p.scheduled_for
    where (p.place <= p.free or d.cancel_reason is not null) -- what is to end takes nobody's place
      and d.lease_id is null
      and not d.awaits_worker
      and d.concurrency_group = p.concurrency_group
      and exists (select from leases l where l.id = @lease_id and l.expires_at > now())
    order by d.ready_at
    limit @max_rows
    for update of d skip locked
), claimed as (
    update due d
    set lease_id = @lease_id, token = @token, attempt = d.attempt + 1,
        started_at = coalesce(d.started_at, greatest(now(), d.ready_at))
    from (
        select
            unnest(array(select job_id from candidate)) as job_id,
            unnest(array(select scheduled_for from candidate)) as scheduled_for
    ) c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    returning d.job_id, d.scheduled_for, d.ready_at, d.carries_schedule, d.queue, d.trigger, d.retry_of, d.token, d.attempt, d.started_at,
        d.cancel_reason, d.failed_attempts, d.buffered_for, d.revision, d.revised_at, d.run_count, d.failures
)
select c.job_id, c.scheduled_for, c.ready_at, c.carries_schedule, c.queue, c.trigger, c.retry_of, c.token, c.attempt,
    c.started_at::timestamptz as started_at, c.cancel_reason, c.failed_attempts, c.buffered_for, c.revision, c.revised_at,
    c.run_count, c.failures, sqlc.embed(j), clock_timestamp()::timestamptz as read_at
from claimed c
join jobs j on j.id = c.job_id;

-- name: NextReady :one
-- The first instant at which a row is due that nobody holds, behind what the claim just now has taken, or a day from now where
-- there is none. The claim looked until the time ahead of its own now, and not until that of this one: @horizon is not
-- later than that, as far as the caller knows. So one entry of the index is read, or a few. And whether there are concurrency
-- groups at all.
select
    coalesce((
        select d.ready_at
        from due d
        where d.ready_at > least(@horizon::timestamptz, now() + @ahead::interval) and not d.awaits_worker and d.lease_id is null
        order by d.ready_at
        limit 1
    ), now() + interval '1 day')::timestamptz as ready_at,
    exists (select from due g where g.concurrency_group is not null) as grouped,
    clock_timestamp()::timestamptz as read_at;

-- name: FreeAbandoned :one
-- Frees the runs whose lease has run out or is gone, for anybody to claim, and forgets such leases. Returns how many runs that
-- were, and in how long the next lease runs out, unless it is renewed; a day where there is none. A claim of an instance that
-- commits later than its lease ran out is found by the next one. Nothing is claimed a minute ahead, so the index on ready_at
-- bounds what is read; a worker's lease says itself what it holds. The arrays hide from the planner how many were found: it
-- expects ten, and looks each up, instead of reading all of due and of jobs.
-- Each run waits from then on where its job is executed now, as Requeue would have it: who served it before may be gone. What
-- is to end is left to instances; where that is for want of attempts or of its job, its queue stays, to tell who executed it.
-- Two instances doing it at once free each row once: a row that was freed and claimed anew since this statement began has
-- another token. To look at its lease again would not do, because for a changed row PostgreSQL checks again what is compared
-- with the row, but not what was found to be missing elsewhere. They lock the rows in one order, so neither waits for the other
-- while that waits for it.
-- It is bounded, so that many runs that are abandoned at once are freed a part at a time. more says
-- that some may be left.
with expired as (
    delete from leases
    where id in (
        select id from leases where expires_at <= now() order by id limit 500 for update skip locked
    )
    returning id, job_ids, scheduled_fors
), held as (
    select id as lease_id, unnest(job_ids) as job_id, unnest(scheduled_fors) as scheduled_for
    from expired
    where job_ids is not null
), abandoned as (
    (
        select d.job_id, d.scheduled_for, d.token
        from due d
        where d.ready_at <= now() + interval '1 minute'
          and not d.awaits_worker
          and d.lease_id is not null
          and not exists (select from leases l where l.id = d.lease_id and l.expires_at > now())
        limit 5000
    )
    union
    select d.job_id, d.scheduled_for, d.token
    from held h
    join due d on d.job_id = h.job_id and d.scheduled_for = h.scheduled_for and d.lease_id = h.lease_id
    order by job_id, scheduled_for
), freed as (
    update due d
    set lease_id = null,
        queue = case when j.max_attempts > d.attempt and j.deleted_at is null then j.queue else d.queue end,
        awaits_worker = j.queue is not null
            and d.cancel_reason is null and j.max_attempts > d.attempt and j.deleted_at is null,
        concurrency_group = j.concurrency_group
    from (
        select
            unnest(array(select job_id from abandoned)) as job_id,
            unnest(array(select scheduled_for from abandoned)) as scheduled_for,
            unnest(array(select token from abandoned)) as token
    ) a
    join jobs j on j.id = a.job_id
    where d.job_id = a.job_id and d.scheduled_for = a.scheduled_for and d.token = a.token and d.lease_id is not null
    returning d.job_id
)
select
    (select count(*) from freed) as freed,
    ((select count(*) from expired) >= 500 or (select count(*) from abandoned) >= 5000)::boolean as more,
    coalesce(
        (select min(l.expires_at) from leases l where l.expires_at > now()) - clock_timestamp(), interval '1 day'
    )::interval as next_expiry_in;

-- name: FreeLost :execrows
-- Frees what an instance holds without knowing it: claims that were committed and whose answer was lost. Nobody has begun
-- what they took, so no attempt is counted, and it waits where its job is executed now. The instance knows the tokens of what it
-- executes. A claim of which it does not know yet must not be under way.
update due d
set lease_id = null, attempt = d.attempt - 1, started_at = case when d.attempt > 1 then d.started_at end,
    (queue, awaits_worker, concurrency_group) = (
        select
            case when j.max_attempts >= d.attempt and j.deleted_at is null then j.queue else d.queue end,
            j.queue is not null and d.cancel_reason is null and j.max_attempts >= d.attempt and j.deleted_at is null,
            j.concurrency_group
        from jobs j
        where j.id = d.job_id
    )
where d.ready_at <= now() + interval '1 minute'
  and not d.awaits_worker
  and d.lease_id = @lease_id
  and d.token <> all(@known_tokens::bigint[]);
