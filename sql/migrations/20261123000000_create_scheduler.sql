-- migrate:up

create type job_status as enum ('ACTIVE', 'PAUSED');

-- What to run, and when. Cold: a job's row does not change when the job fires.
create table jobs (
    id uuid primary key,
    name text not null,
    interval_seconds bigint not null,
    -- The grid: the job is due at anchor_at + n * interval_seconds, n = 1, 2, ..
    anchor_at timestamptz not null,
    -- json, not jsonb: the payload is handed over as it was given, to the byte.
    payload json not null,
    status job_status not null,
    -- The last run's start, as of the job's last rest; while the job is active its due row knows better.
    last_run_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- A deleted job stays, unseen, as long as its runs do: they are found through it.
    deleted_at timestamptz,

    constraint jobs_name_length check (length(name) between 1 and 255),
    constraint jobs_interval_positive check (interval_seconds > 0),
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
    -- When attempt 1 was claimed.
    started_at timestamptz,
    -- The start of the job's last ended run.
    last_run_at timestamptz,

    primary key (job_id, scheduled_for),
    constraint due_never_early check (ready_at >= scheduled_for and started_at >= ready_at),
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

create type run_status as enum ('SUCCEEDED', 'FAILED', 'SKIPPED');
create type run_reason as enum ('MISFIRE', 'LEASE_EXPIRED', 'JOB_PAUSED', 'JOB_DELETED');

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
    if to_regclass(partition_name) is not null then
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

-- migrate:down

drop function create_runs_partition(date);
drop table runs, due, leases, jobs;
drop sequence claim_tokens;
drop type run_reason, run_status, job_status;
