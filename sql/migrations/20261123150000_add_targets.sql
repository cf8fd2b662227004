-- migrate:up

create type run_trigger as enum ('SCHEDULE', 'MANUAL', 'BACKFILL', 'RETRY');

-- Somebody asked for it.
alter type run_reason add value 'REQUESTED';

alter table jobs
    -- What executes the runs, as the contract describes it, without its secrets. json, not jsonb, like the payload.
    add column target json not null default '{"type":"log"}',
    -- The secrets of the target, sealed with the named key (internal/secrets) and bound to the job's id.
    add column sealed_secrets bytea,
    add column secrets_key_id text,
    -- What there is in them, by names: what a secret is worth is not to be opened for whoever reads the job.
    add column secret_names text[] not null default '{}',
    add constraint jobs_secrets_have_key check (
        (sealed_secrets is null) = (secrets_key_id is null) and (sealed_secrets is null) = (secret_names = '{}')
    ),
    drop constraint jobs_active_without_reason;

create index jobs_by_secrets_key on jobs (secrets_key_id) where secrets_key_id is not null;

alter table due
    -- Where workers lease it; null: an instance executes it.
    add column queue text,
    -- False where an instance has to end what workers would else execute: it was canceled, say, or used up its attempts.
    add column awaits_worker boolean not null default false,
    add column trigger run_trigger not null default 'SCHEDULE',
    -- The scheduled_for of the run that this one repeats.
    add column retry_of timestamptz,
    -- A run started by hand that waits for the end of this one, then to take over its row: its scheduled_for and retry_of.
    add column buffered_for timestamptz,
    add column buffered_retry_of timestamptz,
    -- Raised when what comes after this run is no longer what its claim was told: a completion that carries another
    -- one changes nothing, and looks again.
    add column revision integer not null default 0,
    -- When the job's schedule was changed while this run was in flight: what the new one says from then on counts.
    add column revised_at timestamptz,
    add constraint due_worker_has_queue check (queue is not null or not awaits_worker),
    add constraint due_retry_repeats check ((trigger = 'RETRY') = (retry_of is not null));

-- Instances claim what awaits no worker, workers what is in their queue.
drop index due_ready_at;
create index due_ready_at on due (ready_at) where not awaits_worker;
create index due_queue_ready_at on due (queue, ready_at) where awaits_worker;

alter table runs
    add column trigger run_trigger not null default 'SCHEDULE',
    add column retry_of timestamptz,
    -- What the target answered: {"statusCode", "durationMilliseconds", "output", "outputIsTruncated"}.
    add column result json,
    add constraint runs_retry_repeats check ((trigger = 'RETRY') = (retry_of is not null)),
    drop constraint runs_skipped_never_started,
    -- What was canceled may have been before it began.
    add constraint runs_started_when_attempted check (
        (started_at is null) = (attempt = 0)
        and case status when 'SKIPPED' then attempt = 0 when 'CANCELED' then true else attempt > 0 end
    );

alter table leases
    add column created_at timestamptz not null default now(),
    -- A worker's: how long a heartbeat makes it last, and the runs it holds. So they are found when it runs out, without
    -- reading what else waits in their queues. Null: an instance's.
    add column duration interval,
    add column job_ids uuid[],
    add column scheduled_fors timestamptz[],
    add constraint leases_of_workers_hold check (num_nulls(duration, job_ids, scheduled_fors) in (0, 3));

-- The runs that have not ended: what is due, what executes, and what waits for another run's end. What is claimed ahead of its
-- instant is none yet.
create view open_runs as
select job_id, scheduled_for, case when attempt > 0 then 'RUNNING' else 'PENDING' end as status, trigger, retry_of, attempt,
    started_at, failed_attempts
from due
where (ready_at <= now() or attempt > 0) and (started_at is null or started_at <= now())
union all
select job_id, buffered_for, 'PENDING', case when buffered_retry_of is null then 'MANUAL' else 'RETRY' end::run_trigger,
    buffered_retry_of, 0::smallint, null, null
from due
where buffered_for is not null;

-- migrate:down

drop view open_runs;
alter table leases
    drop constraint leases_of_workers_hold, drop column scheduled_fors, drop column job_ids, drop column duration, drop column created_at;
delete from runs where status = 'CANCELED' and attempt = 0;
alter table runs
    drop constraint runs_started_when_attempted, drop constraint runs_retry_repeats, drop column result, drop column retry_of, drop column trigger,
    add constraint runs_skipped_never_started check (
        (status = 'SKIPPED') = (started_at is null) and (status = 'SKIPPED') = (attempt = 0)
    );
drop index due_queue_ready_at;
drop index due_ready_at;
create index due_ready_at on due (ready_at);
alter table due
    drop constraint due_retry_repeats, drop constraint due_worker_has_queue, drop column revised_at, drop column revision,
    drop column buffered_retry_of, drop column buffered_for, drop column retry_of,
    drop column trigger, drop column awaits_worker, drop column queue;
drop index jobs_by_secrets_key;
update jobs set status_reason = null where status <> 'PAUSED';
alter table jobs
    add constraint jobs_active_without_reason check (status = 'PAUSED' or status_reason is null),
    drop constraint jobs_secrets_have_key, drop column secret_names, drop column secrets_key_id, drop column sealed_secrets, drop column target;
drop type run_trigger;
