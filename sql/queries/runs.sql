-- name: GetRun :one
-- By what a run's id says: the last eight bytes of its job's id, and its instant. A run in flight is its due row, from
-- its first attempt on. One snapshot, and one statement moves a run from there to here, so it is found in exactly one of the two.
select d.job_id, d.scheduled_for, 'RUNNING' as status, null::run_reason as reason, d.attempt, d.started_at,
    null::timestamptz as finished_at, null::text as error, 1 as occurrences, d.failed_attempts
from jobs j
join due d on d.job_id = j.id and d.scheduled_for = @scheduled_for
    and d.attempt > 0 and d.started_at <= now()
where substring(uuid_send(j.id) from 9) = @job_tail::bytea
union all
select r.job_id, r.scheduled_for, r.status::text, r.reason, r.attempt, r.started_at, r.finished_at, r.error, r.occurrences,
    r.failed_attempts
from jobs j
join runs r on r.job_id = j.id and r.scheduled_for = @scheduled_for
where substring(uuid_send(j.id) from 9) = @job_tail::bytea;

-- name: ListRuns :many
-- Newest first, by keyset. What is in flight and what has ended are one list, in one snapshot.
(
    select d.job_id, d.scheduled_for, 'RUNNING' as status, null::run_reason as reason, d.attempt, d.started_at,
        null::timestamptz as finished_at, null::text as error, 1 as occurrences, d.failed_attempts
    from due d
    where d.job_id = @job_id and d.scheduled_for < @before::timestamptz and d.attempt > 0 and d.started_at <= now()
      and (sqlc.narg(status)::text is null or sqlc.narg(status) = 'RUNNING')
)
union all
(
    select r.job_id, r.scheduled_for, r.status::text, r.reason, r.attempt, r.started_at, r.finished_at, r.error,
        r.occurrences, r.failed_attempts
    from runs r
    where r.job_id = @job_id and r.scheduled_for < @before::timestamptz
      and (sqlc.narg(status)::text is null or r.status::text = sqlc.narg(status))
    order by r.scheduled_for desc
    limit @max_rows
)
order by scheduled_for desc
limit @max_rows;

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
