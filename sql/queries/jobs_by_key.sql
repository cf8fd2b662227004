-- A deleted job has no key. So the statements that look for a key leave deleted_at out: no index
-- but jobs_key serves them then, and it is used at any size of the table, before PostgreSQL has
-- statistics of it, too.

-- name: FindJob :one
-- Returns the id of the job that has a key. The job may be deleted before it is read by its id.
select id
from jobs
where namespace = @namespace and key = @key::text;

-- name: LockJobByKey :one
-- LockJob for the job that has a key. If the job is deleted meanwhile, this does not return it.
select *
from jobs
where namespace = @namespace and key = @key::text
for update;

-- name: ListKeyedJobs :many
-- The jobs that have one of some keys, as they are at one instant. Each is looked up by its key,
-- however many there are: see "Plans" in docs/performance.md.
select j.*
from (select unnest((select @keys::text[])) as key) k
cross join lateral (
    select *
    from jobs
    where namespace = @namespace and key = k.key
    limit 1
) j;

-- name: LockKeyedJobs :many
-- LockJob for the jobs that have one of some keys. It locks them in the order of the parameter, so
-- two lists that have jobs in common wait for each other and do not deadlock if both are sorted. A
-- job that is deleted meanwhile is not returned. A key is never changed.
select j.*
from (select unnest((select @sorted_keys::text[])) as key) k
cross join lateral (
    select *
    from jobs
    where namespace = @namespace and key = k.key
    limit 1
    for update
) j;

-- name: ListTakenKeys :many
-- Returns which of some keys jobs have. Others may be taken before the caller takes them: the
-- unique index refuses that.
select k.key::text as key
from (select unnest((select @keys::text[])) as key) k
cross join lateral (
    select
    from jobs
    where namespace = @namespace and key = k.key
    limit 1
) j;

-- name: ListKeysOf :many
-- Returns the keys of some jobs, of those that have one. A job may be deleted before the caller
-- locks it by its key.
select key::text as key
from jobs
where id = any((select @ids::uuid[])::uuid[]) and namespace = @namespace and key is not null;

-- name: CopyJobs :copyfrom
-- CreateJob for many jobs: stores the jobs. CopyDue and CopyAudit follow in its transaction.
insert into jobs (
    id, namespace, key, name, description, labels, payload, target, sealed_secrets, secrets_key_id, secret_names, secrets_digest,
    interval_seconds, anchor_at, cron, rrule, time_zone, run_at, on_demand, starts_on, start_at, end_at, max_runs, jitter_seconds,
    skip_on, only_on, on_skipped, calendar_days, delete_after_completion,
    misfire_policy, catchup_window_seconds, overlap_policy, max_attempts, min_backoff_seconds,
    max_backoff_seconds, attempt_deadline_seconds, pause_after_failures, late_after_seconds, alert_after_failures,
    expect_success_within_seconds, run_history, concurrency_group, max_concurrency,
    metrics, public_badge, status, created_at, updated_at, updated_by
) values (
    @id, @namespace, @key, @name, @description, @labels, @payload, @target, @sealed_secrets, @secrets_key_id, @secret_names, @secrets_digest,
    @interval_seconds, @anchor_at, @cron, @rrule, @time_zone, @run_at, @on_demand, @starts_on, @start_at, @end_at, @max_runs, @jitter_seconds,
    @skip_on, @only_on, @on_skipped, @calendar_days, @delete_after_completion,
    @misfire_policy, @catchup_window_seconds, @overlap_policy, @max_attempts, @min_backoff_seconds,
    @max_backoff_seconds, @attempt_deadline_seconds, @pause_after_failures, @late_after_seconds, @alert_after_failures,
    @expect_success_within_seconds, @run_history, @concurrency_group, @max_concurrency,
    @metrics, @public_badge, @status, @created_at, @updated_at, @updated_by
);

-- name: CopyDue :copyfrom
-- Stores the first occurrences of the jobs that CopyJobs has stored.
insert into due (job_id, scheduled_for, ready_at, carries_schedule, concurrency_group, queue, awaits_worker)
values (@job_id, @scheduled_for, @ready_at, @carries_schedule, @concurrency_group, @queue, @awaits_worker);

-- name: CopyAudit :copyfrom
-- AddToAudit for many entries. If there may be another attempt, the caller has called HoldAttempt.
insert into audit (namespace, actor, operation, resource_type, resource_id, request_id, result)
values (@namespace, @actor, @operation, @resource_type, @resource_id, @request_id, @result);
