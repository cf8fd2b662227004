-- migrate:up

-- What events have started and is no run yet. A row is written in the transaction of what happened,
-- and deleted in the transaction that makes a run of it, under the lock of the job: only there are
-- the overlap policy and a free instant known. So each event makes exactly one run.
create table event_starts (
    id uuid primary key default gen_random_uuid(),
    -- The job that is to be started, and its namespace.
    job_id uuid not null,
    namespace text not null,
    -- When the run is to be made: at once, or when the events have been collected that start one
    -- run.
    ready_at timestamptz not null,
    happened_at timestamptz not null default clock_timestamp(),
    -- What happened, in the form of the contract's Event.
    event json not null,
    -- As in due.
    caused_by uuid,
    event_depth smallint not null
) with (
    -- Rows come and go, and few are there at a time: vacuum it early, and without pauses.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

create index event_starts_by_job on event_starts (job_id, ready_at);

-- The jobs that are expected to succeed from time to time. A row exists while
-- jobs.expect_success_within_seconds is set.
create table expected_successes (
    job_id uuid primary key,
    namespace text not null,
    -- When job.overdue happens, unless the job succeeds before.
    expected_by timestamptz not null,
    -- When it happened. Null: it has not since the last success.
    overdue_since timestamptz
) with (fillfactor = 50);

create index expected_successes_missing on expected_successes (expected_by) where overdue_since is null;
create index expected_successes_overdue on expected_successes (namespace, overdue_since desc) where overdue_since is not null;

-- The queues of which queue.unattended was told, and that nobody has served since.
create table unattended_queues (
    queue text collate "C" primary key,
    since timestamptz not null
);

-- migrate:down

drop table unattended_queues;
drop table expected_successes;
drop table event_starts;
