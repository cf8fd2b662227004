-- name: GetRun :one
-- Finds a run by the parts of its id: the last eight bytes of the id of its job, and its instant.
-- One statement moves a run from the open ones to those that have ended, and this one reads a
-- single snapshot, so it finds the run in exactly one of the two.
select
    o.job_id, o.scheduled_for, o.status, null::run_reason as reason, o.trigger, o.retry_of, o.attempt,
    o.started_at, null::timestamptz as finished_at, null::text as error, null::json as result,
    null::text as status_reason, 1 as occurrences, o.failed_attempts, o.executed_by,
    null::integer as job_version, o.cancel_requested_at, o.payload, o.caused_by, o.waiting_for, j.key as job_key,
    j.name as job_name, j.deleted_at as job_deleted_at
from jobs j
join open_runs o on o.job_id = j.id and o.scheduled_for = @scheduled_for
where substring(uuid_send(j.id) from 9) = @job_tail::bytea and j.namespace = @namespace
union all
select
    r.job_id, r.scheduled_for, r.status::text, r.reason, r.trigger, r.retry_of, r.attempt,
    r.started_at, r.finished_at, r.error, r.result, r.status_reason, r.occurrences, r.failed_attempts, r.executed_by,
    r.job_version, r.cancel_requested_at, r.payload, r.caused_by, null::text as waiting_for,
    j.key as job_key, j.name as job_name, j.deleted_at as job_deleted_at
from jobs j
join runs r on r.job_id = j.id and r.scheduled_for = @scheduled_for
where substring(uuid_send(j.id) from 9) = @job_tail::bytea and j.namespace = @namespace;

-- name: ListRuns :many
-- Returns the runs of a job from one instant on (included) and before another, newest first. Runs
-- that are open and runs that have ended are one list, in one snapshot. It locks each partition
-- that holds a part of this time, so a caller asks for a bounded number of them (RunsPageStart).
(
    select
        o.job_id, o.scheduled_for, o.status, null::run_reason as reason, o.trigger, o.retry_of, o.attempt,
        o.started_at, null::timestamptz as finished_at, null::text as error, null::json as result,
        null::text as status_reason, 1 as occurrences, o.failed_attempts, o.executed_by,
        null::integer as job_version, o.cancel_requested_at, null::json as payload, o.caused_by, o.waiting_for, j.key as job_key,
    j.name as job_name, j.deleted_at as job_deleted_at
    from open_runs o
    join jobs j on j.id = o.job_id
    where o.job_id = @job_id and o.scheduled_for >= @since::timestamptz and o.scheduled_for < @before::timestamptz
)
union all
(
    select
        r.job_id, r.scheduled_for, r.status::text, r.reason, r.trigger, r.retry_of, r.attempt,
        r.started_at, r.finished_at, r.error, r.result, r.status_reason, r.occurrences, r.failed_attempts, r.executed_by,
        r.job_version, r.cancel_requested_at, null::json as payload, r.caused_by, null::text as waiting_for,
    j.key as job_key, j.name as job_name, j.deleted_at as job_deleted_at
    from runs r
    join jobs j on j.id = r.job_id
    where r.job_id = @job_id and r.scheduled_for >= @since::timestamptz and r.scheduled_for < @before::timestamptz
    order by r.scheduled_for desc
    limit @max_rows
)
order by scheduled_for desc
limit @max_rows;

-- name: ListRecentRuns :many
-- Returns the latest runs of some jobs of a namespace from one instant on and before another, up to
-- @max_rows of each, those of a job newest first: open and ended ones in one snapshot. A lateral
-- join with a limit reads as many runs of a job as it returns, from the newest partition back,
-- however many it has. Like ListRuns, it locks each partition that holds a part of this time.
select j.id as job_id, n.scheduled_for, n.status, n.reason, n.trigger, n.started_at, n.finished_at, n.occurrences
from (select unnest((select @job_ids::uuid[])) as id) i
join jobs j on j.id = i.id
cross join lateral (
    (
        select o.scheduled_for, o.status, null::run_reason as reason, o.trigger, o.started_at,
            null::timestamptz as finished_at, 1 as occurrences
        from open_runs o
        where o.job_id = j.id and o.scheduled_for >= @since::timestamptz and o.scheduled_for < @before::timestamptz
    )
    union all
    (
        select r.scheduled_for, r.status::text, r.reason, r.trigger, r.started_at, r.finished_at, r.occurrences
        from runs r
        where r.job_id = j.id and r.scheduled_for >= @since::timestamptz and r.scheduled_for < @before::timestamptz
        order by r.scheduled_for desc
        limit @max_rows
    )
    order by scheduled_for desc
    limit @max_rows
) n
where j.namespace = @namespace and j.deleted_at is null
order by j.id, n.scheduled_for desc;

-- name: RunsPageStart :one
-- Returns where a partition begins: the newest that begins before an instant, or, after skipping
-- some, an older one. It returns 1970, before which nothing can be scheduled, if there is none.
select coalesce((
    select p.first_day::timestamp at time zone 'UTC'
    from runs_partitions p
    where p.first_day::timestamp at time zone 'UTC' < @before::timestamptz
    order by p.first_day desc
    limit 1 offset @skipped::integer
), 'epoch')::timestamptz;

-- name: ListStored :many
-- Returns those of some occurrences that have a run. All lie between the two instants, which bound
-- the partitions to look at.
select r.job_id, r.scheduled_for
from (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for
) o
join runs r using (job_id, scheduled_for)
where r.scheduled_for between @earliest::timestamptz and @latest::timestamptz;

-- name: ListTaken :many
-- Returns those of some instants of jobs that rows of due have.
select d.job_id, d.scheduled_for
from (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for
) o
join due d using (job_id, scheduled_for);

-- name: ListEnds :many
-- Returns how some runs ended, of those that are kept. It locks the partitions of their instants,
-- so a caller asks for instants of a bounded number of days.
select r.job_id, r.scheduled_for, r.reason, r.finished_at, r.error
from (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for
) o
join runs r using (job_id, scheduled_for)
where r.scheduled_for = any(@scheduled_fors::timestamptz[]);

-- name: CreateRunsPartition :one
-- Safe from many sessions at once: see the function. Returns whether it created one.
select create_runs_partition(@day::date);

-- name: CreateRunsPartitions :one
-- Creates the partitions that these days need, in one transaction, so not too many at once. Returns
-- how many it created.
select count(*)
from unnest(@days::date[]) as day
where create_runs_partition(day);

-- name: CreateRunsPartitionsAhead :one
-- Creates the partitions of today (UTC, by the database's clock) and the next days. Returns how
-- many it created.
select count(*)
from generate_series(0, @days_ahead::integer) as ahead
where create_runs_partition((now() at time zone 'UTC')::date + ahead);

-- name: DropOldestRunsPartition :one
-- Drops one partition that holds only days further back than @days. Returns whether there was one.
-- Several sessions may call it at once: they take turns.
select drop_oldest_runs_partition((now() at time zone 'UTC')::date - @days::integer);

-- name: CountOldRunsPartitions :one
-- Returns how many partitions DropOldestRunsPartition has yet to drop.
select count(*)
from runs_partitions p
where p.last_day < (now() at time zone 'UTC')::date - @days::integer;
