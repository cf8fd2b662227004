-- What an edit, a pause, a resume or a delete of a job does to the job's due rows. All of it
-- happens in the transaction that holds LockJob.

-- name: LockDue :many
-- Locks all runs of a job that have not ended. It waits for claims and completions that hold the
-- rows; from then on nobody changes them before this transaction ends. It does not see a row that a
-- claim has split off while this statement waited: the caller repeats it until it finds no more.
select *
from due
where job_id = @job_id
order by scheduled_for
for update;

-- name: DetachSchedule :exec
-- Takes the schedule off the row that carries it. The caller holds LockDue, and has added the row's
-- run_count to the job, with the run in flight. The revision tells that run's completion that
-- nothing follows it.
update due
set carries_schedule = false, run_count = -1, revision = revision + 1
where job_id = @job_id and carries_schedule;

-- name: AttachSchedule :exec
-- Puts the job's schedule on its next occurrence. The caller holds LockDue. If a run of that very
-- occurrence is still in flight, its row carries the schedule on.
insert into due (
    job_id, scheduled_for, ready_at, carries_schedule, last_run_at, last_run_for, last_run_status, failures,
    concurrency_group, queue, awaits_worker
)
values (
    @job_id, @scheduled_for::timestamptz, greatest(@scheduled_for::timestamptz, @now::timestamptz), true,
    sqlc.narg(last_run_at), sqlc.narg(last_run_for), sqlc.narg(last_run_status), @failures,
    sqlc.narg(concurrency_group), sqlc.narg(queue), sqlc.narg(queue)::text is not null
)
on conflict (job_id, scheduled_for) do update set carries_schedule = true, revision = due.revision + 1;

-- name: AttachScheduleToRun :exec
-- Makes a run in flight carry the job's schedule. The caller holds LockDue. The completion of the
-- run finds another revision than its claim did, and computes the next occurrence from the job as
-- it is by then.
update due
set carries_schedule = true, revision = revision + 1, revised_at = @revised_at::timestamptz
where job_id = @job_id and scheduled_for = @scheduled_for;

-- name: RaiseRevisions :exec
-- Makes the completions of a job's runs compute the next step from the job as it is by then. The
-- caller holds LockDue. It also touches the row that carries the schedule if nobody holds it: a
-- claim that has begun already leaves a changed row to the next claim, which sees the edited job.
update due
set revision = revision + 1
where job_id = @job_id and (carries_schedule or lease_id is not null);

-- name: RerouteWaiting :exec
-- Moves the rows that nobody holds to the job's new queue or concurrency group. The caller holds
-- LockDue. A row that an instance has to end (canceled, for example) stays with the instances.
update due d
set queue = sqlc.narg(queue), concurrency_group = sqlc.narg(concurrency_group),
    awaits_worker = awaits_worker(sqlc.narg(queue), d.cancel_reason, d.attempt, @max_attempts)
where d.job_id = @job_id and d.lease_id is null;

-- name: EndWaiting :execrows
-- Leaves the rows that nobody holds to the instances, at once, for them to end: those of a job that
-- was deleted (max_attempts is 0), or those which have used up the attempts that an edit has left.
-- The caller holds LockDue. A run that waits for its backoff does not wait any longer. Without a
-- queue, it has no place in its concurrency group.
update due
set awaits_worker = false, queue = case when concurrency_group is null then queue end, ready_at = case when attempt > 0 then scheduled_for else ready_at end
where job_id = @job_id and lease_id is null and attempt >= @max_attempts::smallint;

-- name: DropOccurrence :execrows
-- Removes an occurrence that nobody executes. The caller holds LockDue and has called
-- DetachSchedule. If it was due already, RecordSkipped stores one run for all occurrences
-- that were due, in the same transaction.
delete from due d
where d.job_id = @job_id and d.scheduled_for = @scheduled_for and d.lease_id is null and not d.carries_schedule;

-- name: RecordSkipped :execrows
-- Records occurrences in a row, from one on, as one skipped run. It stores nothing if the first of
-- them has a run already, in whichever session that was stored.
insert into runs (job_id, scheduled_for, finished_at, status, reason, status_reason, attempt, occurrences)
values (
    @job_id, @scheduled_for, clock_timestamp(), 'SKIPPED', @reason, sqlc.narg(status_reason), 0, @occurrences
)
on conflict (job_id, scheduled_for) do nothing;

-- name: CountBackfilled :one
-- Counts the backfilled occurrences of a job in a window, whether they have ended or not. The
-- caller holds LockJob, so nobody backfills meanwhile. It reads only the partitions of the window.
select (
    (
        select count(*)
        from runs r
        where r.job_id = @job_id and r.scheduled_for > @after::timestamptz
          and r.scheduled_for <= @until::timestamptz and r.trigger = 'BACKFILL'
    ) + (
        select count(*)
        from due d
        where d.job_id = @job_id and d.scheduled_for > @after::timestamptz
          and d.scheduled_for <= @until::timestamptz and d.trigger = 'BACKFILL'
    )
)::bigint;

-- name: LastBackfilled :one
-- The last occurrence of a job in a window that was backfilled, whether its run has ended or not,
-- or else the start of the window. See CountBackfilled.
select greatest(
    @after::timestamptz, (
        select max(r.scheduled_for)
        from runs r
        where r.job_id = @job_id and r.scheduled_for > @after::timestamptz
          and r.scheduled_for <= @until::timestamptz and r.trigger = 'BACKFILL'
    ), (
        select max(d.scheduled_for)
        from due d
        where d.job_id = @job_id and d.scheduled_for > @after::timestamptz
          and d.scheduled_for <= @until::timestamptz and d.trigger = 'BACKFILL'
    )
)::timestamptz as scheduled_for;

-- name: CountFailures :one
-- How many of the latest runs of a job failed in a row, as the due row that carries its schedule
-- knows it, or the job itself if that knows of the same last run or a later one, or has no
-- schedule. A single snapshot.
select coalesce(case when j.last_run_for >= coalesce(d.last_run_for, '-infinity') then j.failures else d.failures end, 0)::smallint as failures
from jobs j
left join due d on d.job_id = j.id and d.carries_schedule
where j.id = @job_id;
