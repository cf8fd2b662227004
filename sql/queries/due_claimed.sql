-- What is done to rows of due that are claimed, besides completing them.

-- name: RequeueFailed :many
-- Puts runs whose attempt failed back, to be claimed again at ready_at where the job is executed
-- now, and stores the failed attempt. A run that needs no further attempt, because it was canceled,
-- its job was deleted or now allows fewer attempts, is ready at once, for an instance to end it.
-- Returns the runs that it stored.
--
-- Safe under concurrency and to repeat: guarded by the token, like Complete. The jobs are locked
-- before they are read, so an edit in progress is seen.
with failure as (
    -- The batch.
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token,
        unnest((select @ready_ats::timestamptz[])) as ready_at,
        unnest((select @failed_attempts::jsonb[])) as failed_attempt
), job as (
    -- Its jobs, locked.
    select j.id, j.first_queue, j.qualified_group, j.max_attempts, j.deleted_at
    from jobs j
    where j.id in (select f.job_id from failure f)
    order by j.id
    for share
)
update due d
set ready_at = case
        when d.cancel_reason is null and j.deleted_at is null and d.attempt < j.max_attempts then f.ready_at
        else d.scheduled_for
    end,
    queue = j.first_queue, concurrency_group = j.qualified_group,
    awaits_worker = awaits_worker(j.first_queue, d.cancel_reason, d.attempt, j.max_attempts),
    lease_id = null, failed_attempts = coalesce(d.failed_attempts, '[]'::jsonb) || f.failed_attempt
from failure f
join job j on j.id = f.job_id
where d.job_id = f.job_id and d.scheduled_for = f.scheduled_for and d.token = f.token and d.lease_id is not null
returning d.job_id, d.scheduled_for;

-- name: HoldRuns :exec
-- Puts claimed runs back until the end of a blackout, as if they had not been claimed. Safe under
-- concurrency and to repeat: guarded by the token, and the jobs are locked before they are read, so
-- an edit in progress is seen. A run that was canceled meanwhile is ready at once, to be ended.
with held as (
    -- The batch.
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token,
        unnest((select @untils::timestamptz[])) as until
), job as (
    -- Its jobs, locked.
    select j.id, j.first_queue, j.qualified_group, j.max_attempts
    from jobs j
    where j.id in (select h.job_id from held h)
    order by j.id
    for share
)
update due d
set lease_id = null, attempt = d.attempt - 1, started_at = case when d.attempt > 1 then d.started_at end,
    ready_at = case when d.cancel_reason is null then greatest(h.until, d.scheduled_for) else d.scheduled_for end,
    held_until = greatest(h.until, d.scheduled_for), queue = j.first_queue, concurrency_group = j.qualified_group,
    awaits_worker = awaits_worker(j.first_queue, d.cancel_reason, (d.attempt - 1)::smallint, j.max_attempts)
from held h
join job j on j.id = h.job_id
where d.job_id = h.job_id and d.scheduled_for = h.scheduled_for and d.token = h.token and d.lease_id is not null;

-- name: FreeHeldRuns :many
-- Moves the runs of a namespace that a blackout holds to when they may start by its blackouts of
-- now. Returns when the first of each queue is due; an empty name stands for no queue. The caller
-- holds LockNamespace, so it sees what was put back before, and what is put back later goes by the
-- new blackouts (LockBlackouts). The rows are locked in one order, and those that were claimed or
-- moved meanwhile stay as they are.
with held as (
    -- The runs that wait for an end of a blackout.
    select d.job_id, d.scheduled_for
    from due d
    join jobs j on j.id = d.job_id
    where j.namespace = @namespace and d.lease_id is null and d.held_until = d.ready_at and d.held_until > now()
      and d.held_until <> greatest(@until::timestamptz, d.scheduled_for)
    order by d.job_id, d.scheduled_for
    for update of d
),
moved as (
    update due d
    set ready_at = greatest(@until, d.scheduled_for), held_until = greatest(@until, d.scheduled_for)
    from held h
    where d.job_id = h.job_id and d.scheduled_for = h.scheduled_for
    returning d.queue, d.ready_at
)
select coalesce(queue, '')::text as queue, min(ready_at)::timestamptz as ready_at
from moved
group by queue;

-- name: Split :exec
-- For jobs whose runs may overlap: detaches the schedule from a claimed run and puts it on its next
-- occurrence at once, so that it does not wait for the run to end. An instance that dies before
-- this leaves the schedule on the claimed row; whoever claims that next splits it.
--
-- Safe under concurrency: guarded by the token, and by the revision. If what comes next was changed
-- since the claim, the completion notices. The rows are locked before they are read, so an edit
-- that this waited for is seen.
with claim as (
    -- The batch.
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token,
        unnest((select @revisions::integer[])) as revision,
        unnest((select @next_fors::timestamptz[])) as next_for
), carrier as (
    -- The rows that still carry their schedule, locked.
    select d.job_id, d.scheduled_for, d.last_run_at, d.last_run_for, d.last_run_status, d.failures, d.concurrency_group, d.queue, d.run_count,
        c.next_for
    from due d
    join claim c on d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    where d.token = c.token and d.revision = c.revision and d.carries_schedule
    for update of d
), detached as (
    -- The run alone. Its row counts -1: the row that carries the schedule counts it from now on.
    update due d
    set carries_schedule = false, run_count = -1
    from carrier c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
)
insert into due (
    job_id, scheduled_for, ready_at, carries_schedule, last_run_at, last_run_for, last_run_status, failures,
    concurrency_group, queue, awaits_worker, run_count
)
select job_id, next_for, next_for, true, last_run_at, last_run_for, last_run_status, failures,
    concurrency_group, coalesce(concurrency_group, queue), queue is not null, run_count + 1
from carrier
on conflict (job_id, scheduled_for) do update set carries_schedule = true;

-- name: CancelEarlier :many
-- Cancels the runs of jobs that began before an instant of each job, and returns them. Whoever
-- executes one has to be told. One that waits for another attempt is claimed at once, by an
-- instance, to be ended. Safe to repeat: a canceled run stays as it is.
update due d
set cancel_reason = 'OVERLAP', cancel_requested_at = now(),
    ready_at = case when d.lease_id is null then d.scheduled_for else d.ready_at end,
    awaits_worker = d.awaits_worker and d.lease_id is not null
from (
    -- One instant for each job: an update takes only one of several.
    select b.job_id, max(b.before) as before
    from (
        select
            unnest((select @job_ids::uuid[])) as job_id,
            unnest((select @befores::timestamptz[])) as before
    ) b
    group by b.job_id
) b
where d.job_id = b.job_id and d.scheduled_for < b.before and d.trigger <> 'BACKFILL' and d.attempt > 0
  and d.cancel_reason is null
returning d.job_id, d.scheduled_for;

-- name: ListCanceled :many
-- The canceled runs under a lease, for an instance that may not have been told.
select d.job_id, d.scheduled_for, d.cancel_reason
from due d
where d.ready_at <= now() + interval '1 minute' and not d.awaits_worker and d.lease_id = @lease_id and d.cancel_reason is not null;
