-- name: GetRun :one
-- By what a run's id says: the last eight bytes of its job's id, and its instant. One snapshot, and one statement moves a run
-- from the open ones to those that have ended, so it is found in exactly one of the two.
select o.job_id, o.scheduled_for, o.status, null::run_reason as reason, o.trigger, o.retry_of, o.attempt, o.started_at,
    null::timestamptz as finished_at, null::text as error, null::json as result, 1 as occurrences, o.failed_attempts
from jobs j
join open_runs o on o.job_id = j.id and o.scheduled_for = @scheduled_for
where substring(uuid_send(j.id) from 9) = @job_tail::bytea
union all
select r.job_id, r.scheduled_for, r.status::text, r.reason, r.trigger, r.retry_of, r.attempt, r.started_at, r.finished_at,
    r.error, r.result, r.occurrences, r.failed_attempts
from jobs j
join runs r on r.job_id = j.id and r.scheduled_for = @scheduled_for
where substring(uuid_send(j.id) from 9) = @job_tail::bytea;

-- name: ListRuns :many
-- Newest first, by keyset. What is open and what has ended are one list, in one snapshot.
(
    select o.job_id, o.scheduled_for, o.status, null::run_reason as reason, o.trigger, o.retry_of, o.attempt, o.started_at,
        null::timestamptz as finished_at, null::text as error, null::json as result, 1 as occurrences, o.failed_attempts
    from open_runs o
    where o.job_id = @job_id and o.scheduled_for < @before::timestamptz
      and (sqlc.narg(status)::text is null or o.status = sqlc.narg(status))
)
union all
(
    select r.job_id, r.scheduled_for, r.status::text, r.reason, r.trigger, r.retry_of, r.attempt, r.started_at, r.finished_at,
        r.error, r.result, r.occurrences, r.failed_attempts
    from runs r
    where r.job_id = @job_id and r.scheduled_for < @before::timestamptz
      and (sqlc.narg(status)::text is null or r.status::text = sqlc.narg(status))
    order by r.scheduled_for desc
    limit @max_rows
)
order by scheduled_for desc
limit @max_rows;

-- name: ListStored :many
-- Those of some occurrences that have a run.
select r.job_id, r.scheduled_for
from (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for
) o
join runs r using (job_id, scheduled_for);

-- name: CreateRunsPartition :one
-- See the function: safe from many sessions at once. Returns whether it made one.
select create_runs_partition(@day::date);

-- name: CreateRunsPartitionsAhead :one
-- Today is the database's, in UTC. Returns how many it made.
select count(*)
from generate_series(0, @days_ahead::integer) as ahead
where create_runs_partition((now() at time zone 'UTC')::date + ahead);

-- name: DropRunsPartitions :one
-- Drops whole days older than the given number of days. See the function: another instance that does the same finds
-- nothing left. Returns how many it dropped.
select drop_runs_partitions((now() at time zone 'UTC')::date - @days::integer);
