-- Runs that somebody asks for, or asks to end. All of it happens in a transaction that holds
-- LockDue of the job.

-- name: StartRun :exec
-- Adds a run that does not carry the job's schedule. The caller holds LockDue and has chosen an
-- instant that no row has.
insert into due (
    job_id, scheduled_for, ready_at, carries_schedule, trigger, retry_of, payload, caused_by, event_depth,
    concurrency_group, queue, awaits_worker
)
values (
    @job_id, @scheduled_for, @scheduled_for, false, @trigger, sqlc.narg(retry_of), sqlc.narg(payload), sqlc.narg(caused_by),
    sqlc.narg(event_depth), sqlc.narg(concurrency_group), sqlc.narg(queue), sqlc.narg(queue)::text is not null
);

-- name: StartRunBeforeNext :exec
-- Turns the row that waits for the job's next occurrence into a run that is due at once. The caller
-- holds LockDue, so nobody claims the row meanwhile. The occurrence cannot overlap with the run
-- because they share the row; when the run ends, the row moves on to the next occurrence.
update due
set scheduled_for = @scheduled_for, ready_at = @scheduled_for, trigger = @trigger, retry_of = sqlc.narg(retry_of),
    payload = sqlc.narg(payload), caused_by = sqlc.narg(caused_by), event_depth = sqlc.narg(event_depth)
where job_id = @job_id and carries_schedule and attempt = 0;

-- name: StartRunWithSchedule :exec
-- Adds a run that is due at once, and moves the job's schedule to it from the run that carries it.
-- The caller holds LockDue. The other run goes on without the schedule and counts with it.
with carrier as (
    -- The run that has carried the schedule until now.
    select r.job_id, r.scheduled_for, r.last_run_at, r.last_run_for, r.run_count, r.last_run_status, r.failures
    from due r
    where r.job_id = @job_id and r.carries_schedule
), detached as (
    -- It goes on without.
    update due d
    set carries_schedule = false, run_count = -1, revision = d.revision + 1
    from carrier c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
)
insert into due (
    job_id, scheduled_for, ready_at, carries_schedule, trigger, retry_of, payload, caused_by, event_depth,
    concurrency_group, queue, awaits_worker, last_run_at, last_run_for, run_count, last_run_status, failures
)
select
    c.job_id, @scheduled_for, @scheduled_for, true, @trigger, sqlc.narg(retry_of), sqlc.narg(payload), sqlc.narg(caused_by),
    sqlc.narg(event_depth), sqlc.narg(concurrency_group),
    sqlc.narg(queue), sqlc.narg(queue)::text is not null, c.last_run_at, c.last_run_for, c.run_count + 1, c.last_run_status, c.failures
from carrier c;

-- name: BufferRun :exec
-- Makes a run wait for the end of one in flight. The caller holds LockDue.
update due
set buffered_for = @buffered_for, buffered_trigger = @trigger::run_trigger, buffered_retry_of = sqlc.narg(retry_of),
    buffered_payload = sqlc.narg(payload), buffered_caused_by = sqlc.narg(caused_by),
    buffered_event_depth = sqlc.narg(event_depth), revision = revision + 1
where job_id = @job_id and scheduled_for = @scheduled_for;

-- name: DropBuffered :exec
-- Ends a run that waits for the end of another, as canceled or skipped. The caller holds LockDue.
with dropped as (
    -- The row of the other run, without the one that waited; the values are those of before.
    update due d
    set buffered_for = null, buffered_trigger = null, buffered_retry_of = null, buffered_payload = null, buffered_caused_by = null,
        buffered_event_depth = null, revision = d.revision + 1
    from due before
    where before.job_id = d.job_id and before.scheduled_for = d.scheduled_for and d.job_id = @job_id
      and d.buffered_for = @buffered_for
    returning d.job_id, before.buffered_for, before.buffered_trigger, before.buffered_retry_of, before.buffered_payload,
        before.buffered_caused_by
)
insert into runs (
    job_id, scheduled_for, trigger, retry_of, payload, caused_by, finished_at, status, reason, attempt, occurrences, cancel_requested_at
)
select
    job_id, buffered_for, coalesce(buffered_trigger, 'MANUAL'), buffered_retry_of, buffered_payload, buffered_caused_by, clock_timestamp(), @status::run_status, @reason::run_reason, 0, 1, case when @status::run_status = 'CANCELED' then now() end
from dropped;

-- name: SkipRun :exec
-- Records a run that was asked for and is not executed, for example because it may not overlap. The
-- caller holds LockDue and has chosen an instant that no row has.
insert into runs (
    job_id, scheduled_for, trigger, retry_of, payload, caused_by, finished_at, status, reason, status_reason, attempt, occurrences
)
values (
    @job_id, @scheduled_for, @trigger, sqlc.narg(retry_of), sqlc.narg(payload), sqlc.narg(caused_by), clock_timestamp(), 'SKIPPED',
    @reason, sqlc.narg(status_reason), 0, 1
);

-- name: Backfill :execrows
-- Adds the given occurrences, except those that have a run or a due row. The caller holds LockDue,
-- so two backfills add each occurrence once, and nobody else adds one that has passed. They are due
-- from now on, behind the runs that are on time; the clock is read here because the transaction may
-- have waited for the lock. The bounds are those of the occurrences: they keep the look at runs
-- within their partitions.
insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, concurrency_group, queue, awaits_worker)
select
    @job_id, o.scheduled_for, clock_timestamp(), false, 'BACKFILL', sqlc.narg(concurrency_group), sqlc.narg(queue),
    sqlc.narg(queue)::text is not null
from (select unnest(@scheduled_fors::timestamptz[]) as scheduled_for) o
where not exists (
    select
    from runs r
    where r.job_id = @job_id and r.scheduled_for = o.scheduled_for
      and r.scheduled_for between @earliest::timestamptz and @latest::timestamptz
)
and not exists (select from due d where d.job_id = @job_id and d.scheduled_for = o.scheduled_for);

-- name: CountMissing :one
-- Counts the occurrences that Backfill would add. The caller holds LockDue.
select count(*)
from (select unnest(@scheduled_fors::timestamptz[]) as scheduled_for) o
where not exists (
    select
    from runs r
    where r.job_id = @job_id and r.scheduled_for = o.scheduled_for
      and r.scheduled_for between @earliest::timestamptz and @latest::timestamptz
)
and not exists (select from due d where d.job_id = @job_id and d.scheduled_for = o.scheduled_for);

-- name: CancelRuns :exec
-- Marks runs of a job as canceled, unless they are. The caller holds LockDue, and tells whoever
-- executes them. A row that nobody holds is ready at once for an instance to end it.
update due d
set cancel_reason = coalesce(d.cancel_reason, @reason::run_reason), cancel_requested_at = least(d.cancel_requested_at, now()),
    ready_at = case when d.lease_id is null then d.scheduled_for else d.ready_at end,
    awaits_worker = d.awaits_worker and d.lease_id is not null
where d.job_id = @job_id and d.scheduled_for = any(@scheduled_fors::timestamptz[]);
