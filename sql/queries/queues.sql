-- name: NextQueued :many
-- For each of some queues, the first instant at which a row is due that nobody holds, or a day from now where there is none. One
-- index entry is read for each.
select q.queue::text as queue,
    coalesce((
        select d.ready_at
        from due d
        where d.queue = q.queue and d.awaits_worker and d.lease_id is null
        order by d.ready_at
        limit 1
    ), now() + interval '1 day')::timestamptz as ready_at,
    clock_timestamp()::timestamptz as read_at
from (select unnest(@queues::text[]) as queue) q;

-- name: ClaimQueued :many
-- As Claim, for the workers that wait at a queue: one lease id for each run that one of them would take, in their order, and with
-- the same number the lease's duration and holder. What is due goes to them by turn, and each lease that got something is made,
-- in the same statement: a run is never held by a lease that is not there.
with candidate as (
    select d.job_id, d.scheduled_for
    from due d
    where d.queue = @queue::text
      and d.awaits_worker
      and d.ready_at <= now()
      and d.lease_id is null
    order by d.ready_at
    limit cardinality(@lease_ids::uuid[])
    for update of d skip locked
), numbered as (
    select job_id, scheduled_for, row_number() over ()::integer as n
    from candidate
), claimed as (
    update due d
    set lease_id = (@lease_ids::uuid[])[c.n], token = @token, attempt = d.attempt + 1,
        started_at = coalesce(d.started_at, now())
    from (
        select
            unnest(array(select job_id from numbered order by n)) as job_id,
            unnest(array(select scheduled_for from numbered order by n)) as scheduled_for,
            unnest(array(select n from numbered order by n)) as n
    ) c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    returning d.job_id, d.scheduled_for, d.ready_at, d.carries_schedule, d.queue, d.trigger, d.retry_of, d.token, d.attempt, d.started_at,
        d.cancel_reason, d.failed_attempts, d.buffered_for, d.revision, d.revised_at, d.run_count, d.failures, d.lease_id, c.n
), granted as (
    insert into leases (id, holder, expires_at, duration, job_ids, scheduled_fors)
    select c.lease_id, min((@holders::text[])[c.n]), now() + min((@durations::interval[])[c.n]), min((@durations::interval[])[c.n]),
        array_agg(c.job_id), array_agg(c.scheduled_for)
    from claimed c
    group by c.lease_id
    returning id, created_at
)
select c.job_id, c.scheduled_for, c.ready_at, c.carries_schedule, c.queue, c.trigger, c.retry_of, c.token, c.attempt,
    c.started_at::timestamptz as started_at, c.cancel_reason, c.failed_attempts, c.buffered_for, c.revision, c.revised_at,
    c.run_count, c.failures, sqlc.embed(j), clock_timestamp()::timestamptz as read_at,
    c.lease_id::uuid as lease_id, g.created_at as leased_at
from claimed c
join granted g on g.id = c.lease_id
join jobs j on j.id = c.job_id;

-- name: GetLeased :one
-- A run that a worker holds, by what its id says and the token it was claimed with; this attempt began when it was leased. The
-- last eight bytes of a job's id lead to the job.
select d.job_id, d.scheduled_for, d.ready_at, d.carries_schedule, d.queue, d.trigger, d.retry_of, d.token, d.attempt,
    d.started_at::timestamptz as started_at, d.cancel_reason, d.failed_attempts, d.buffered_for, d.revision, d.revised_at,
    d.run_count, d.failures, sqlc.embed(j), clock_timestamp()::timestamptz as read_at,
    l.id as lease_id, l.created_at as leased_at
from jobs j
join due d on d.job_id = j.id and d.scheduled_for = @scheduled_for
join leases l on l.id = d.lease_id
where substring(uuid_send(j.id) from 9) = @job_tail::bytea and d.token = @token and d.awaits_worker;

-- name: ListOverdue :many
-- The runs that workers hold and whose attempt has taken longer than it may. Reads what workers hold, and nothing that waits.
select d.job_id, d.scheduled_for, d.ready_at, d.carries_schedule, d.queue, d.trigger, d.retry_of, d.token, d.attempt,
    d.started_at::timestamptz as started_at, d.cancel_reason, d.failed_attempts, d.buffered_for, d.revision, d.revised_at,
    d.run_count, d.failures, sqlc.embed(j), clock_timestamp()::timestamptz as read_at,
    h.lease_id::uuid as lease_id, h.created_at::timestamptz as leased_at
from (
    select id as lease_id, created_at, unnest(job_ids) as job_id, unnest(scheduled_fors) as scheduled_for
    from leases
    where job_ids is not null
) h
join due d on d.job_id = h.job_id and d.scheduled_for = h.scheduled_for and d.lease_id = h.lease_id
join jobs j on j.id = d.job_id
where h.created_at + make_interval(secs => j.attempt_deadline_seconds) <= now();

-- name: Release :execrows
-- Gives a run back that a worker holds, as if it had not been claimed, to where its job is executed now. It is ready from now on:
-- that it was in time once, its scheduled_for would no longer show. One that is to end, has no attempt left, or whose job was
-- deleted, is left to an instance. The job is locked before it is read, so that an edit under way counts. Guarded by the token.
with job as (
    select j.id, j.queue, j.concurrency_group, j.max_attempts
    from jobs j
    where j.id = @job_id
    for share
)
update due d
set lease_id = null, attempt = d.attempt - 1, started_at = case when d.attempt > 1 then d.started_at end,
    ready_at = greatest(now(), d.ready_at),
    queue = j.queue,
    awaits_worker = j.queue is not null and d.cancel_reason is null and j.max_attempts >= d.attempt,
    concurrency_group = j.concurrency_group
from job j
where j.id = d.job_id
  and d.job_id = @job_id and d.scheduled_for = @scheduled_for and d.token = @token and d.lease_id is not null;

-- name: RenewWorkerLease :one
-- As RenewLease, for as long as the worker asked for.
update leases
set expires_at = now() + duration
where id = @id and duration is not null and expires_at > now()
returning expires_at;

-- name: ListCanceledOfWorker :many
-- The runs under a worker's lease that are to end.
select d.job_id, d.scheduled_for
from (
    select id as lease_id, unnest(job_ids) as job_id, unnest(scheduled_fors) as scheduled_for
    from leases
    where id = @id
) h
join due d on d.job_id = h.job_id and d.scheduled_for = h.scheduled_for and d.lease_id = h.lease_id
where d.cancel_reason is not null;

-- name: ForgetLease :exec
-- Deletes a worker's lease under which nothing is held any more. One that is not deleted runs out by itself.
delete from leases l
where l.id = @id
  and not exists (
      select
      from due d
      where d.job_id = any(l.job_ids) and d.scheduled_for = any(l.scheduled_fors) and d.lease_id = l.id
  );
