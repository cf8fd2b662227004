-- name: FindJob :one
-- Returns the id of the job that has a key. The job may be deleted before it is read by its id.
select id
from jobs
where namespace = @namespace and key = @key::text and deleted_at is null;

-- name: LockJobByKey :one
-- LockJob for the job that has a key. A job that is deleted meanwhile has no key any more, so this
-- does not return it.
select *
from jobs
where namespace = @namespace and key = @key::text and deleted_at is null
for update;

-- name: LockKeyedJobs :many
-- LockJob for all jobs that have one of some keys or ids. It locks them in the order of their keys,
-- which never change, so two lists that have jobs in common wait for each other and do not
-- deadlock.
select *
from jobs
where namespace = @namespace and deleted_at is null and key is not null
  and (key = any(@keys::text[]) or id = any(@ids::uuid[]))
order by key
for update;

-- name: ListTakenKeys :many
-- Returns which of some keys jobs have. Others may be taken before the caller takes them: the
-- unique index refuses that.
select key::text as key
from jobs
where namespace = @namespace and key = any(@keys::text[]);

-- name: CopyJobs :copyfrom
-- CreateJob for many jobs: stores the jobs. CopyDue and CopyAudit follow in its transaction.
insert into jobs (
    id, namespace, key, name, description, labels, payload, target, sealed_secrets, secrets_key_id, secret_names, secrets_digest,
    interval_seconds, anchor_at, cron, time_zone, run_at, start_at, end_at, max_runs, jitter_seconds,
    delete_after_completion,
    misfire_policy, catchup_window_seconds, overlap_policy, max_attempts, min_backoff_seconds,
    max_backoff_seconds, attempt_deadline_seconds, pause_after_failures, run_history, concurrency_group,
    max_concurrency,
    status, created_at, updated_at, updated_by
) values (
    @id, @namespace, @key, @name, @description, @labels, @payload, @target, @sealed_secrets, @secrets_key_id, @secret_names, @secrets_digest,
    @interval_seconds, @anchor_at, @cron, @time_zone, @run_at, @start_at, @end_at, @max_runs, @jitter_seconds,
    @delete_after_completion,
    @misfire_policy, @catchup_window_seconds, @overlap_policy, @max_attempts, @min_backoff_seconds,
    @max_backoff_seconds, @attempt_deadline_seconds, @pause_after_failures, @run_history, @concurrency_group,
    @max_concurrency,
    @status, @created_at, @updated_at, @updated_by
);

-- name: CopyDue :copyfrom
-- Stores the first occurrences of the jobs that CopyJobs has stored.
insert into due (job_id, scheduled_for, ready_at, carries_schedule, concurrency_group, queue, awaits_worker)
values (@job_id, @scheduled_for, @ready_at, @carries_schedule, @concurrency_group, @queue, @awaits_worker);

-- name: CopyAudit :copyfrom
-- AddToAudit for many entries. If there may be another attempt, the caller has called HoldAttempt.
insert into audit (namespace, actor, operation, resource_type, resource_id, request_id, result)
values (@namespace, @actor, @operation, @resource_type, @resource_id, @request_id, @result);
