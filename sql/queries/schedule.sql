-- name: LockDue :many
-- All that is still to be executed of a job, under LockJob: waits for claims and completions that hold rows, and from then on
-- none can change them before this transaction ends. What a claim has split off meanwhile is not among them: to be asked again
-- until there is no more. Then nobody can add any.
select *
from due
where job_id = @job_id
order by scheduled_for
for update;

-- name: StopRecurring :exec
-- Takes the schedule off a job's due row, under LockDue, after its runs were counted with the job, the one in flight too. That
-- goes on without the schedule, and is told by the revision: nothing comes after it.
update due
set carries_schedule = false, run_count = -1, revision = revision + 1
where job_id = @job_id and carries_schedule;

-- name: DropOccurrence :exec
-- Removes an occurrence nobody executes, after StopRecurring in the same transaction. What was due already is not
-- dropped in silence: it leaves a skipped run, which stands for all occurrences that were due.
with dropped as (
    delete from due d
    where d.job_id = @job_id and d.scheduled_for = @scheduled_for and d.lease_id is null and not d.carries_schedule
    returning d.job_id, d.scheduled_for, d.trigger, d.retry_of
)
insert into runs (job_id, scheduled_for, trigger, retry_of, finished_at, status, reason, attempt, occurrences)
select job_id, scheduled_for, trigger, retry_of, clock_timestamp(), 'SKIPPED', @reason::run_reason, 0, @occurrences::integer
from dropped
where @occurrences::integer > 0
on conflict (job_id, scheduled_for) do nothing;

-- name: StartRecurring :exec
-- Puts a job's schedule on its next occurrence, under LockDue. Where that very occurrence is already there, in flight, it
-- carries the schedule on.
insert into due (job_id, scheduled_for, ready_at, carries_schedule, last_run_at, concurrency_group, queue, awaits_worker)
values (
    @job_id, @scheduled_for, @scheduled_for, true, sqlc.narg(last_run_at), sqlc.narg(concurrency_group), sqlc.narg(queue),
    sqlc.narg(queue)::text is not null
)
on conflict (job_id, scheduled_for) do update set carries_schedule = true, revision = due.revision + 1;

-- name: Revise :exec
-- Has a run in flight carry the job's schedule on when it ends, as that is from now on, under LockDue. Its completion finds
-- another revision than its claim did, and looks what comes next.
update due
set carries_schedule = true, revision = revision + 1, revised_at = @revised_at::timestamptz
where job_id = @job_id and scheduled_for = @scheduled_for;

-- name: RaiseRevisions :exec
-- Has the completions of a job's runs look what comes next, under LockDue: by the job as it is from now on. What carries the schedule
-- is touched though nobody holds it, so that a claim under way leaves it to the next, which sees the change.
update due
set revision = revision + 1
where job_id = @job_id and (carries_schedule or lease_id is not null);

-- name: Requeue :exec
-- Has what nobody holds of a job wait where it is executed from now on, under LockDue. What was left to instances to be ended
-- stays theirs.
update due d
set queue = sqlc.narg(queue), concurrency_group = sqlc.narg(concurrency_group),
    awaits_worker = sqlc.narg(queue)::text is not null and (d.awaits_worker or d.queue is null) and d.cancel_reason is null
where d.job_id = @job_id and d.lease_id is null;

-- name: SkipOccurrences :exec
-- Notes occurrences that are not executed, in a row from one on.
insert into runs (job_id, scheduled_for, finished_at, status, reason, attempt, occurrences)
values (@job_id, @scheduled_for, clock_timestamp(), 'SKIPPED', @reason, 0, @occurrences)
on conflict (job_id, scheduled_for) do nothing;

-- name: StartRun :exec
-- Adds a run that is due at once, beside the job's schedule.
insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, retry_of, concurrency_group, queue, awaits_worker)
values (
    @job_id, @scheduled_for, @scheduled_for, false, @trigger, sqlc.narg(retry_of), sqlc.narg(concurrency_group),
    sqlc.narg(queue), sqlc.narg(queue)::text is not null
);

-- name: StartRunAhead :exec
-- Makes a run that is due at once of the row that waits for the job's next occurrence, under LockDue: with that row the run
-- keeps the occurrence from overlapping, and when it ends the schedule goes on there.
update due
set scheduled_for = @scheduled_for, ready_at = @scheduled_for, trigger = @trigger, retry_of = sqlc.narg(retry_of)
where job_id = @job_id and carries_schedule and attempt = 0;

-- name: StartRunInstead :exec
-- Adds a run that is due at once and has the job's schedule go on behind it, under LockDue. The run that it takes the place of is
-- to end beside it, and counts with the schedule.
with before as (
    select r.job_id, r.scheduled_for, r.last_run_at, r.run_count, r.failures
    from due r
    where r.job_id = @job_id and r.carries_schedule
), beside as (
    update due d
    set carries_schedule = false, run_count = -1, revision = d.revision + 1
    from before b
    where d.job_id = b.job_id and d.scheduled_for = b.scheduled_for
)
insert into due (
    job_id, scheduled_for, ready_at, carries_schedule, trigger, retry_of, concurrency_group, queue, awaits_worker, last_run_at, run_count,
    failures
)
select b.job_id, @scheduled_for, @scheduled_for, true, @trigger, sqlc.narg(retry_of), sqlc.narg(concurrency_group), sqlc.narg(queue),
    sqlc.narg(queue)::text is not null, b.last_run_at, b.run_count + 1, b.failures
from before b;

-- name: BufferRun :exec
-- Has a run wait for the end of one in flight, under LockDue.
update due
set buffered_for = @buffered_for, buffered_retry_of = sqlc.narg(buffered_retry_of), revision = revision + 1
where job_id = @job_id and scheduled_for = @scheduled_for;

-- name: DropBuffered :exec
-- Removes a run that waits for the end of another, under LockDue. It was canceled, or skipped.
with dropped as (
    update due d
    set buffered_for = null, buffered_retry_of = null, revision = d.revision + 1
    from due before
    where before.job_id = d.job_id and before.scheduled_for = d.scheduled_for and d.job_id = @job_id and d.buffered_for = @buffered_for
    returning d.job_id, before.buffered_for, before.buffered_retry_of
)
insert into runs (job_id, scheduled_for, trigger, retry_of, finished_at, status, reason, attempt, occurrences)
select job_id, buffered_for, case when buffered_retry_of is null then 'MANUAL' else 'RETRY' end::run_trigger, buffered_retry_of,
    clock_timestamp(), @status, @reason::run_reason, 0, 1
from dropped;

-- name: SkipRun :exec
-- Notes a run that was asked for and may not overlap.
insert into runs (job_id, scheduled_for, trigger, retry_of, finished_at, status, reason, attempt, occurrences)
values (@job_id, @scheduled_for, @trigger, sqlc.narg(retry_of), clock_timestamp(), 'SKIPPED', 'OVERLAP', 0, 1);

-- name: Backfill :execrows
-- Adds the occurrences that have neither a run nor a row here, under LockDue. They are due from now on, behind what is on time; not
-- from when the transaction began, which may have waited for the lock since.
insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, concurrency_group, queue, awaits_worker)
select @job_id, o.scheduled_for, clock_timestamp(), false, 'BACKFILL', sqlc.narg(concurrency_group), sqlc.narg(queue),
    sqlc.narg(queue)::text is not null
from (select unnest(@scheduled_fors::timestamptz[]) as scheduled_for) o
where not exists (
    select from runs r
    where r.job_id = @job_id and r.scheduled_for = o.scheduled_for
      -- Only the partitions of the window are to be locked.
      and r.scheduled_for between @earliest::timestamptz and @latest::timestamptz
)
on conflict (job_id, scheduled_for) do nothing;

-- name: CancelRun :exec
-- Has a run end, under LockDue. Whoever executes it is to be told; what nobody executes is claimed at once, by an instance, to be
-- ended.
update due d
set cancel_reason = coalesce(d.cancel_reason, 'REQUESTED'),
    ready_at = case when d.lease_id is null then d.scheduled_for else d.ready_at end,
    awaits_worker = d.awaits_worker and d.lease_id is not null
where d.job_id = @job_id and d.scheduled_for = @scheduled_for;

-- name: CancelOthers :many
-- Has the open runs of a job end for one that is started by hand, under LockDue. Returns them. What was backfilled stays: it is
-- beside all else. The rest as CancelRun.
update due d
set cancel_reason = 'OVERLAP',
    ready_at = case when d.lease_id is null then d.scheduled_for else d.ready_at end,
    awaits_worker = d.awaits_worker and d.lease_id is not null
where d.job_id = @job_id and d.scheduled_for < @before::timestamptz and d.trigger <> 'BACKFILL' and d.cancel_reason is null
  and (d.attempt > 0 or d.trigger <> 'SCHEDULE' or d.ready_at <= @before::timestamptz)
returning d.job_id, d.scheduled_for;

-- name: LeaveToInstances :exec
-- Has instances end what waits for workers, under LockDue: its job is gone.
update due
set awaits_worker = false
where job_id = @job_id and awaits_worker and lease_id is null;

-- name: CountFailure :one
-- Counts how a run has ended that overlapped with its job's schedule with that: how many have failed in a row.
update due
set failures = case when @failed::boolean then least(failures, 32766) + 1 else 0 end
where job_id = @job_id and carries_schedule
returning failures;
