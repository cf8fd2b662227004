-- name: DatabaseTime :one
-- Time is the database's: the first occurrence of a job is computed from this.
select clock_timestamp()::timestamptz;

-- name: CreateJob :exec
-- Stores a job. CreateFirst, CreateExpectation and AuditCreation belong to the same transaction,
-- and do nothing if this has stored none; ReadCreated returns the job.
--
-- created_at is the instant from which the first occurrence was computed. An estimate (is_estimate)
-- that is ahead of the database's clock, or more than a tenth of a second behind it, stores
-- nothing: then the caller asks for the time. Neither does an attempt whose place another has
-- taken, or whose namespace is being moved (AddToAudit), nor a job whose connection does not exist.
insert into jobs (
    id, namespace, key, name, description, labels, payload, target, sealed_secrets, secrets_key_id, secret_names, secrets_digest,
    interval_seconds, anchor_at, cron, rrule, time_zone, run_at, on_demand, starts_on, start_at, end_at, max_runs, jitter_seconds,
    skip_on, only_on, on_skipped, calendar_days, delete_after_completion,
    misfire_policy, catchup_window_seconds, overlap_policy, max_attempts, min_backoff_seconds,
    max_backoff_seconds, attempt_deadline_seconds, pause_after_failures, late_after_seconds, alert_after_failures,
    expect_success_within_seconds, run_history, concurrency_group, max_concurrency,
    metrics, public_badge, status, created_at, updated_at, updated_by
)
select
    @id, @namespace, @key, @name, @description, @labels, @payload, @target, @sealed_secrets, @secrets_key_id, @secret_names, @secrets_digest,
    @interval_seconds, @anchor_at, @cron, @rrule, @time_zone, @run_at, @on_demand, @starts_on, @start_at, @end_at, @max_runs, @jitter_seconds,
    @skip_on, @only_on, @on_skipped, @calendar_days, @delete_after_completion,
    @misfire_policy, @catchup_window_seconds, @overlap_policy, @max_attempts, @min_backoff_seconds,
    @max_backoff_seconds, @attempt_deadline_seconds, @pause_after_failures, @late_after_seconds, @alert_after_failures,
    sqlc.narg(expect_success_within_seconds), @run_history, @concurrency_group, @max_concurrency,
    @metrics, @public_badge, 'ACTIVE', created_at, created_at, @updated_by
from (select @created_at::timestamptz as created_at) given
where (
        sqlc.narg(connection)::text is null
        or exists (select from connections c where c.namespace = @namespace and c.key = sqlc.narg(connection)::text for key share)
    )
  and (
        not @is_estimate::boolean
        or created_at between clock_timestamp() - interval '100 milliseconds' and clock_timestamp()
    )
  and (
        strpos(@request_id::text, '~') = 0
        or exists (select from idempotency_keys k where k.request_id = @request_id::text for key share)
    )
  and exists (select from namespaces n where n.name = @namespace and n.moving_since is null);

-- name: CreateFirst :exec
-- Stores the first occurrence of a new job. One that has just passed is ready from now on.
insert into due (job_id, scheduled_for, ready_at, carries_schedule, concurrency_group, queue, awaits_worker)
select j.id, @scheduled_for::timestamptz, greatest(@scheduled_for::timestamptz, j.created_at), true, j.qualified_group, j.first_queue,
    j.first_queue is not null
from jobs j
where j.id = @id;

-- name: CreateExpectation :exec
-- Says when a new job is to have succeeded, as ExpectSuccesses.
with created as (
    -- The new job. Citus sends no valid SQL for an insert whose own select reads a table (decision
    -- 8).
    select j.id, j.namespace, j.created_at + make_interval(secs => j.expect_success_within_seconds) as expected_by
    from jobs j
    where j.id = @id
)
insert into expected_successes (job_id, namespace, expected_by)
select c.id, c.namespace, c.expected_by
from created c;

-- name: AuditCreation :exec
-- Writes down who has created a job, as AddToAudit. CreateJob has checked the attempt.
insert into audit (namespace, actor, operation, resource_type, resource_id, request_id, result)
select j.namespace, j.updated_by, @operation::text, 'JOB', j.id::text, nullif(@request_id::text, ''), '{"version":1}'::json
from jobs j
where j.id = @id;

-- name: ReadCreated :one
-- A job that was created in this transaction. read_at is for the next estimate of the time.
select sqlc.embed(jobs), clock_timestamp()::timestamptz as read_at
from jobs
where jobs.id = @id;

-- name: GetJob :one
-- A single snapshot: the job and its due rows belong together whatever fires meanwhile. A run that
-- does not carry the schedule is counted by the row that does from its start on; its own row
-- subtracts it until it has ended.
select
    sqlc.embed(j), d.scheduled_for, d.revised_at, d.last_run_at as due_last_run_at,
    d.last_run_for as due_last_run_for, d.last_run_status as due_last_run_status, coalesce(d.failures, 0)::smallint as due_failures,
    coalesce(d.run_count, 0)::bigint as due_run_count, o.ended_run_count, o.is_running, o.is_late,
    coalesce(d.attempt > 0 and d.started_at <= now(), false)::boolean as running, x.overdue_since
from jobs j
left join due d on d.job_id = j.id and d.carries_schedule
left join expected_successes x on x.job_id = j.id
cross join lateral (
    -- All rows of the job.
    select coalesce(sum(r.run_count), 0)::bigint as ended_run_count,
        coalesce(bool_or(r.attempt > 0 and r.started_at <= now()), false)::boolean as is_running,
        coalesce(bool_or(is_late(r.ready_at, r.lease_id, r.awaits_worker, r.queue)), false)::boolean as is_late
    from due r
    where r.job_id = j.id
) o
where j.id = @id and j.namespace = @namespace and j.deleted_at is null;

-- name: CountJobs :one
-- Counts the jobs of a namespace no further than max_count.
select count(*)
from (
    select
    from jobs
    where namespace = @namespace and deleted_at is null
    limit @max_count
) as counted;

-- name: ListBulkJobs :many
-- What a bulk change has to know of jobs, in the order of their ids. Whoever changes a job looks at
-- it again under its lock.
select id, key, name, status, pause_id, suspended
from jobs
where namespace = @namespace and id = any(@ids::uuid[]) and deleted_at is null
order by id;

-- name: ListEndingPauses :many
-- The jobs whose pause has an end, without those that failed, the earliest end first; so the first
-- are those whose pause has ended. Whoever resumes a job looks at it again under its lock. Jobs of
-- a deleted namespace are about to be deleted.
select j.id, j.namespace, n.run_retention_days,
    least(j.pause_until - clock_timestamp(), interval '1 day')::interval as ends_in
from jobs j
join namespaces n on n.name = j.namespace
where j.pause_until is not null and j.id <> all(@failed::uuid[]) and n.deleted_at is null
order by j.pause_until
limit @max_rows;

-- name: MayBeUsedUp :one
-- Reports whether a job has had its max_runs, or has with one more run. It takes no lock: this
-- tells whether it is worth to lock the job's rows and count exactly.
select exists (
    select
    from jobs j
    left join due d on d.job_id = j.id and d.carries_schedule
    where j.id = @id and j.deleted_at is null and j.status = 'ACTIVE' and j.run_count + coalesce(d.run_count, 0) + 1 >= j.max_runs
);

-- name: LockJob :one
-- Two changes of one job wait for each other here, so each sees what the other has stored. A claim
-- does not lock the job's row, so a change never delays a run.
select *
from jobs
where id = @id and namespace = @namespace and deleted_at is null
for update;

-- name: KeepVersion :exec
-- Keeps a job as it is before UpdateJob makes another version of it, in the same transaction.
insert into job_versions (job_id, version, updated_at, updated_by, superseded_at, next_status, next_status_reason, definition)
values (@job_id, @version, @updated_at, @updated_by, @superseded_at, @next_status, @next_status_reason, @definition);

-- name: UpdateJob :exec
-- Stores a job as it is after a change. The caller holds LockJob, and has called KeepVersion
-- if that makes another version.
update jobs j
set name = @name, description = @description, labels = @labels, payload = @payload,
    target = @target, sealed_secrets = @sealed_secrets, secrets_key_id = @secrets_key_id, secret_names = @secret_names,
    secrets_digest = @secrets_digest,
    interval_seconds = @interval_seconds, anchor_at = @anchor_at, cron = @cron, rrule = @rrule, time_zone = @time_zone,
    run_at = @run_at, on_demand = @on_demand, starts_on = @starts_on, skip_on = @skip_on, only_on = @only_on, on_skipped = @on_skipped,
    calendar_days = @calendar_days, ran_ahead_from = @ran_ahead_from, ran_ahead_until = @ran_ahead_until, start_at = @start_at, end_at = @end_at, max_runs = @max_runs, jitter_seconds = @jitter_seconds,
    delete_after_completion = @delete_after_completion,
    misfire_policy = @misfire_policy, catchup_window_seconds = @catchup_window_seconds,
    overlap_policy = @overlap_policy, max_attempts = @max_attempts, min_backoff_seconds = @min_backoff_seconds,
    max_backoff_seconds = @max_backoff_seconds, attempt_deadline_seconds = @attempt_deadline_seconds, pause_after_failures = @pause_after_failures,
    late_after_seconds = @late_after_seconds, alert_after_failures = @alert_after_failures,
    expect_success_within_seconds = @expect_success_within_seconds, failing_since = @failing_since,
    run_history = @run_history, concurrency_group = @concurrency_group, max_concurrency = @max_concurrency,
    metrics = @metrics, public_badge = @public_badge, status = @status, status_reason = @status_reason, paused_since = @paused_since, pause_until = @pause_until, pause_id = @pause_id, paused_by_service = @paused_by_service, last_run_at = @last_run_at,
    last_run_for = @last_run_for, last_run_status = @last_run_status, failures = @failures, run_count = @run_count, suspended = @suspended, version = @version, updated_at = @updated_at, updated_by = @updated_by,
    secrets_version = @secrets_version
where j.id = @id;

-- name: ListJobVersions :many
-- The versions of a job before one that has replaced them, newest first. The caller has found the
-- job, and names versions that no change can touch any more. Definitions may be large: after about
-- @max_bytes of them, rows are left out. rows tells how many there would be.
select v.version, v.updated_at, v.updated_by, v.next_status, v.next_status_reason, v.definition, v.rows
from (
    select l.*, count(*) over () as rows,
        coalesce(
            sum(octet_length(l.definition::text)) over (order by l.version desc rows between unbounded preceding and 1 preceding), 0
        ) as bytes_before
    from (
        select o.*
        from job_versions o
        where o.job_id = @job_id and o.version < @before
        order by o.version desc
        limit @max_rows
    ) l
) v
where v.bytes_before <= @max_bytes::bigint
order by v.version desc;

-- name: MarkJobDeleted :exec
-- The caller holds LockJob. The row stays because its runs are found through it; what the user
-- wrote does not.
with forgotten as (
    delete from job_versions v where v.job_id = @id
)
update jobs j
set deleted_at = now(), status = 'PAUSED', status_reason = null,
    paused_since = least(paused_since, now()), pause_until = null, pause_id = null, key = null, name = 'deleted', description = '', labels = null,
    payload = 'null', target = '{"type":"log"}', sealed_secrets = null, secrets_key_id = null, secret_names = '{}', secrets_digest = null
where j.id = @id;

-- name: PurgeDeletedJobs :execrows
-- Removes the jobs that were deleted so long ago that their runs are gone too: those of the days
-- (UTC) further back than @days, of which 0 stands for none, or those that the retention of their
-- namespace has deleted. A job with a run that has not ended stays. Two sessions that do this at
-- once remove each row once.
delete from jobs j
where j.deleted_at is not null
  and j.deleted_at < greatest(
        (now() at time zone 'UTC')::date - nullif(@days::integer, 0),
        (select n.runs_deleted_before from namespaces n where n.name = j.namespace)
    )::timestamp at time zone 'UTC'
  and not exists (select from due d where d.job_id = j.id);

-- name: CountSealed :many
-- Counts the jobs and connections with secrets by the key that seals them. It reads indexes only.
select s.key_id::text as key_id, count(*) as things
from (
    select secrets_key_id as key_id from jobs where secrets_key_id is not null
    union all
    select secrets_key_id from connections where secrets_key_id is not null
) s
group by s.key_id
order by s.key_id;

-- name: ListSealedUnderOtherKeys :many
-- The secrets that are sealed with another key than the given one, by job, after a given job: a
-- rotation walks over them. What it reads may change at once; Reseal notices that.
select id, sealed_secrets, secrets_key_id
from jobs
where secrets_key_id is not null and secrets_key_id <> @key_id::text and id > @after
order by id
limit @max_rows;

-- name: Reseal :execrows
-- Replaces sealed secrets by the same secrets under another key, unless somebody has changed them.
-- Their digest is under that key, too.
update jobs
set sealed_secrets = @resealed, secrets_key_id = @key_id::text, secrets_digest = @digest::bytea
where id = @id and sealed_secrets = @sealed::bytea;

-- name: GetBadgeNamespace :one
-- The namespace of a job whose badge everybody may see.
select j.namespace
from jobs j
where j.id = @id and j.public_badge and j.deleted_at is null;
