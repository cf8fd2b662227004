-- name: CreateJob :one
-- One statement stores the job and its first occurrence, one interval after the database's now, so neither can be
-- there without the other. Nobody else can see or touch either before it commits.
with job as (
    insert into jobs (id, name, interval_seconds, anchor_at, payload, status, created_at, updated_at)
    values (@id, @name, @interval_seconds, now(), @payload, 'ACTIVE', now(), now())
    returning *
), first as (
    insert into due (job_id, scheduled_for, ready_at, recurs)
    select id, created_at + interval_seconds * interval '1 second', created_at + interval_seconds * interval '1 second', true
    from job
    returning scheduled_for
)
select job.id, job.created_at, first.scheduled_for
from job, first;

-- name: GetJob :one
-- A single snapshot: the job and its due row belong together whatever fires meanwhile.
select sqlc.embed(j), d.scheduled_for, d.last_run_at as due_last_run_at, (d.lease_id is not null and d.started_at <= now())::boolean as running
from jobs j
left join due d on d.job_id = j.id and d.recurs
where j.id = @id and j.deleted_at is null;

-- name: ListJobs :many
-- Newest first, by page: an offset, which the caller bounds, because its cost grows with it.
select sqlc.embed(j), d.scheduled_for, d.last_run_at as due_last_run_at, (d.lease_id is not null and d.started_at <= now())::boolean as running
from jobs j
left join due d on d.job_id = j.id and d.recurs
where j.deleted_at is null
  and (sqlc.narg(status)::job_status is null or j.status = sqlc.narg(status))
order by j.created_at desc, j.id desc
limit @max_rows offset @skip_rows;

-- name: ListJobsAfter :many
-- Newest first, by keyset: the same cost at any depth, and steady while jobs are created.
select sqlc.embed(j), d.scheduled_for, d.last_run_at as due_last_run_at, (d.lease_id is not null and d.started_at <= now())::boolean as running
from jobs j
left join due d on d.job_id = j.id and d.recurs
where j.deleted_at is null
  and (sqlc.narg(status)::job_status is null or j.status = sqlc.narg(status))
  and (j.created_at, j.id) < (@after_created_at::timestamptz, @after_id::uuid)
order by j.created_at desc, j.id desc
limit @max_rows;

-- name: CountJobs :one
-- Counts no further than max_count, so that a list never reads a million rows to say so.
select count(*)
from (
    select
    from jobs
    where deleted_at is null
      and (sqlc.narg(status)::job_status is null or status = sqlc.narg(status))
    limit @max_count
) as counted;

-- name: LockJob :one
-- Two changes of one job wait for each other here, so each sees what the other stored. Claiming and completing do not
-- lock the job's row, so a change never holds up a run.
select sqlc.embed(j), clock_timestamp()::timestamptz as locked_at
from jobs j
where id = @id and deleted_at is null
for update;

-- name: UpdateJob :exec
-- Under LockJob.
update jobs
set name = @name, interval_seconds = @interval_seconds, anchor_at = @anchor_at, payload = @payload, status = @status,
    last_run_at = greatest(last_run_at, sqlc.narg(last_run_at)), updated_at = now()
where id = @id;

-- name: MarkJobDeleted :exec
-- Under LockJob. The row stays for the sake of its runs, without what the user wrote.
update jobs
set deleted_at = now(), updated_at = now(), status = 'PAUSED', name = 'deleted', payload = 'null'
where id = @id;
