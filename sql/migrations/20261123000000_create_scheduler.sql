-- migrate:up

create type job_status as enum ('ACTIVE', 'PAUSED', 'COMPLETED');
create type misfire_policy as enum ('FIRE_ONCE', 'SKIP', 'FIRE_ALL');
create type overlap_policy as enum ('SKIP', 'BUFFER_ONE', 'ALLOW_ALL', 'CANCEL_OTHER');
create type run_history as enum ('ALL', 'FAILURES');
create type run_status as enum ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED');
create type run_reason as enum ('MISFIRE', 'OVERLAP', 'LEASE_EXPIRED', 'DEADLINE_EXCEEDED', 'JOB_PAUSED', 'JOB_DELETED');

-- What to run, and when. Cold: a job's row does not change when the job fires, but when it rests.
create table jobs (
    id uuid primary key,
    name text not null,
    -- json, not jsonb: the payload is handed over as it was given, to the byte.
    payload json not null,

    -- The schedule, exactly one of three. The interval's grid: anchor_at + n * interval_seconds, n = 1, 2, ..
    interval_seconds bigint,
    anchor_at timestamptz,
    cron text,
    time_zone text,
    run_at timestamptz,
    -- What bounds it: both inclusive.
    start_at timestamptz,
    end_at timestamptz,
    max_runs bigint,
    jitter_seconds integer not null,
    delete_after_completion boolean not null,

    misfire_policy misfire_policy not null,
    catchup_window_seconds bigint,
    overlap_policy overlap_policy not null,
    max_attempts smallint not null,
    min_backoff_seconds integer not null,
    max_backoff_seconds integer not null,
    attempt_deadline_seconds integer not null,
    pause_after_failures smallint,
    run_history run_history not null,
    -- Runs of jobs with the same group wait while max_concurrency of them execute, over all instances.
    concurrency_group text,
    max_concurrency integer,

    status job_status not null,
    -- Why it is paused, where the service paused it.
    status_reason text,
    -- The last run's start, and how many runs there were, as of the job's last rest. While the job is active its due row
    -- knows better of the first, and counts on from the second.
    last_run_at timestamptz,
    run_count bigint not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- A deleted job stays, unseen, as long as its runs do: they are found through it.
    deleted_at timestamptz,

    constraint jobs_name_length check (length(name) between 1 and 255),
    constraint jobs_one_schedule check (num_nonnulls(interval_seconds, cron, run_at) = 1),
    constraint jobs_interval_has_anchor check ((interval_seconds is null) = (anchor_at is null)),
    constraint jobs_cron_has_zone check ((cron is null) = (time_zone is null)),
    constraint jobs_bounds_positive check (
        interval_seconds > 0 and max_runs > 0 and jitter_seconds >= 0 and catchup_window_seconds >= 0
        and max_attempts > 0 and min_backoff_seconds >= 0 and max_backoff_seconds >= min_backoff_seconds
        and attempt_deadline_seconds > 0 and pause_after_failures > 0 and max_concurrency > 0
    ),
    constraint jobs_group_has_bound check ((concurrency_group is null) = (max_concurrency is null)),
    constraint jobs_ends_after_start check (end_at >= start_at),
    constraint jobs_active_without_reason check (status = 'PAUSED' or status_reason is null),
    constraint jobs_updated_after_created check (updated_at >= created_at)
);

create index jobs_newest on jobs (created_at desc, id desc) where deleted_at is null;
create index jobs_newest_by_status on jobs (status, created_at desc, id desc) where deleted_at is null;
-- A run's id ends with the last eight bytes of its job's: the way from a run's id to its job.
create unique index jobs_run_tail on jobs (substring(uuid_send(id) from 9));

-- The right to execute: one row for each instance, renewed by a heartbeat, gone when it stops. Written every
-- few seconds, so it must stay small enough to be vacuumed in passing.
create table leases (
    id uuid primary key,
    -- Who holds it, for people: host and process.
    holder text not null,
    expires_at timestamptz not null
) with (fillfactor = 50);

-- The fencing numbers of claims: one for each claim, never twice, always growing.
create sequence claim_tokens as bigint;

-- What is still to be executed: one row for the next occurrence of each active job, and one for each run in flight
-- whose job went on without it. Hot and narrow. Claiming changes no indexed column, so it stays a heap-only update,
-- for which the fillfactor leaves room on the page.
create table due (
    job_id uuid not null,
    scheduled_for timestamptz not null,
    -- The instant it may start.
    ready_at timestamptz not null,
    -- Whether this row carries the job's schedule on: completing it moves it to the next occurrence. A row that does
    -- not is deleted when it is completed.
    recurs boolean not null,
    -- Attempts begun; counted when claimed, so that a run which kills its instance is counted too.
    attempt smallint not null default 0,
    -- Of the latest claim; a completion that carries another changes nothing.
    token bigint not null default 0,
    -- Whose it is now; null: anybody's.
    lease_id uuid,
    -- When attempt 1 may start: when it was claimed, or its instant where it was claimed ahead.
    started_at timestamptz,
    -- The job's; null for most. Such rows are claimed in turns, not by whoever comes first.
    concurrency_group text,
    -- Why the run is to end, where it is: whoever executes it stops, and nobody begins another attempt.
    cancel_reason run_reason,
    -- The attempts of this run that failed before: [{"attempt", "startedAt", "finishedAt", "error"}, ..].
    failed_attempts jsonb,
    -- The start of the job's last ended run.
    last_run_at timestamptz,
    -- The job's runs since it last rested, and how many of the latest failed in a row.
    run_count bigint not null default 0,
    failures smallint not null default 0,

    primary key (job_id, scheduled_for),
    constraint due_never_early check (ready_at >= scheduled_for and started_at >= scheduled_for),
    constraint due_leased_was_claimed check (lease_id is null or (attempt > 0 and token > 0)),
    constraint due_started_when_attempted check ((attempt > 0) = (started_at is not null))
) with (
    fillfactor = 50,
    -- Rows change all the time and the table is small: vacuum early, and without pauses.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.1
);

create index due_ready_at on due (ready_at);
create index due_grouped_ready_at on due (ready_at) where concurrency_group is not null;

-- What became of each occurrence: one final row, written once, by the statement that completes it. The primary key
-- makes the database itself refuse a doubled occurrence. A run's id is a function of this key (internal/runid), so it
-- is not stored. No foreign key to jobs: it would be checked at each run, and history outlives a job.
create table runs (
    job_id uuid not null,
    scheduled_for timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz not null,
    status run_status not null,
    reason run_reason,
    attempt smallint not null,
    -- How many occurrences this row stands for; more than one only where they were skipped in a row.
    occurrences integer not null,
    error text,
    -- The attempts before the last one, as in due.
    failed_attempts jsonb,

    primary key (job_id, scheduled_for),
    constraint runs_never_early check (started_at >= scheduled_for and finished_at >= started_at),
    constraint runs_skipped_never_started check (
        (status = 'SKIPPED') = (started_at is null) and (status = 'SKIPPED') = (attempt = 0)
    ),
    constraint runs_skipped_for_a_reason check (status <> 'SKIPPED' or reason is not null),
    constraint runs_failed_with_error check ((status = 'FAILED') = (error is not null)),
    constraint runs_occurrences check (occurrences = 1 or (occurrences > 1 and status = 'SKIPPED'))
) partition by range (scheduled_for);

-- Makes the partition of runs for one day (UTC), unless it is there. Safe to call from many sessions at once.
-- The table is made alone and attached, which, unlike "create table .. partition of", blocks no reader and no writer.
-- It is analysed at once: without statistics its first completions would be planned badly.
create function create_runs_partition(day date) returns boolean
language plpgsql as $$
declare
    partition_name constant text := 'runs_' || to_char(day, 'YYYYMMDD');
begin
    if to_regclass(partition_name) is not null then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('create_runs_partition', 0));
    -- From the catalog: to_regclass may remember its answer from before the lock.
    if exists (
        select from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'runs'::regclass and c.relname = partition_name
    ) then
        return false;
    end if;
    execute format('create table %I (like runs including defaults including constraints)', partition_name);
    execute format(
        'alter table runs attach partition %I for values from (%L) to (%L)',
        partition_name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
    );
    execute format('analyze %I', partition_name);
    return true;
end
$$;

-- Drops the partitions of runs for all days before one (UTC). It needs runs for itself for a moment, and gives up rather
-- than hold up those who wait behind it while somebody reads for long.
create function drop_runs_partitions(before date) returns bigint
language plpgsql as $$
declare
    partition_name text;
    dropped bigint := 0;
begin
    perform set_config('lock_timeout', '2s', true);
    for partition_name in
        select c.relname
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'runs'::regclass and c.relname < 'runs_' || to_char(before, 'YYYYMMDD')
    loop
        execute format('drop table if exists %I', partition_name);
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;

-- migrate:down

drop function drop_runs_partitions(date);
drop function create_runs_partition(date);
drop table runs, due, leases, jobs;
drop sequence claim_tokens;
drop type run_reason, run_status, run_history, overlap_policy, misfire_policy, job_status;
