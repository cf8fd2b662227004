-- migrate:up

-- Finds jobs by a part of their name. Whoever may create tables in a database may add it: it is
-- trusted. Its files are a part of PostgreSQL's contrib modules.
create extension if not exists pg_trgm;

create type job_status as enum ('ACTIVE', 'PAUSED', 'COMPLETED');
create type misfire_policy as enum ('FIRE_ONCE', 'SKIP', 'FIRE_ALL');
create type overlap_policy as enum ('SKIP', 'BUFFER_ONE', 'ALLOW_ALL', 'CANCEL_OTHER');
create type run_history as enum ('ALL', 'FAILURES');
create type run_status as enum ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED');
create type run_trigger as enum ('SCHEDULE', 'MANUAL', 'BACKFILL', 'RETRY');
create type run_reason as enum (
    'MISFIRE', 'OVERLAP', 'LEASE_EXPIRED', 'DEADLINE_EXCEEDED', 'JOB_PAUSED', 'JOB_DELETED', 'REQUESTED'
);

-- What to run, and when. This table is cold: a job's row does not change when the job fires, only
-- when the job is edited, paused, completed or deleted.
create table jobs (
    id uuid primary key,
    namespace text not null,
    -- The name that the client has chosen, for programs: unique in the namespace, and fixed.
    -- Null: it has none. In the order of bytes, so that an index finds the keys with a prefix.
    key text collate "C",
    name text not null,
    description text not null default '',
    -- What jobs are selected by: names and values, in the form of a JSON object. Null: it has none.
    labels jsonb,
    -- json, not jsonb: the target receives the payload byte for byte as the client gave it.
    payload json not null,

    -- The schedule: exactly one of an interval, a cron expression and one instant.
    -- An interval's occurrences are anchor_at + n * interval_seconds, for n = 1, 2, ..
    interval_seconds bigint,
    anchor_at timestamptz,
    cron text,
    time_zone text,
    run_at timestamptz,
    -- The bounds of the schedule. Both are inclusive.
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
    -- At most max_concurrency runs of all jobs of one group execute at a time, over all instances.
    concurrency_group text,
    max_concurrency integer,

    -- What executes the runs, as openapi.yaml describes it, without its secrets. json, like the
    -- payload.
    target json not null,
    -- Where the job's runs wait, by names that no other namespace can have: <namespace>/<name>. The
    -- queue in which workers lease them (null: an instance executes them), and the concurrency
    -- group.
    qualified_queue text generated always as (namespace || '/' || (target ->> 'queue')) stored,
    qualified_group text generated always as (namespace || '/' || concurrency_group) stored,
    -- The target's secrets, sealed with the named key (internal/secrets) and bound to the job's id.
    sealed_secrets bytea,
    secrets_key_id text,
    -- The names of the secrets, so that reading a job opens none of them.
    secret_names text[] not null default '{}',
    -- An HMAC of the secrets under a key that follows from the named one, bound to the job's id. By
    -- it, the same secrets are known when they are given again.
    secrets_digest bytea,

    status job_status not null,
    -- Why the job has its status, for people.
    status_reason text,
    -- From when on the job's occurrences are not executed because it is paused. Null: it is not.
    paused_since timestamptz,
    -- When the job, which is paused, goes on by itself. Null: it does not.
    pause_until timestamptz,
    -- The bulk change that has paused the job. Null: none has.
    pause_id uuid,
    -- The start of the last run, and the number of runs, at the time the job last left ACTIVE.
    -- While the job is active, the due row that carries its schedule has the newer values: it
    -- replaces last_run_at, and its run_count is added to this one.
    last_run_at timestamptz,
    run_count bigint not null default 0,
    -- The latest run that has ended, by its instant: the instant, the status, and how many of the
    -- latest runs failed in a row. Runs that do not carry the schedule are counted here. Those that
    -- do are counted in the due row that carries it, in columns of the same names. Of the two, the
    -- one with the later instant counts.
    last_run_for timestamptz,
    last_run_status run_status,
    failures smallint not null default 0,
    created_at timestamptz not null,
    -- The number of the definition, raised by each request that changes it. What the service itself
    -- does to a job, such as completing it, raises nothing.
    version integer not null default 1,
    -- When and by whom this version was made, in the form of audit.actor.
    updated_at timestamptz not null,
    updated_by text not null,
    -- The version that changed the secrets. Null: the first.
    secrets_version integer,
    -- Whether it is paused because its namespace is suspended, and is to go on afterwards.
    suspended boolean not null default false,
    -- A deleted job is hidden, and stays as long as its runs do: runs are found through their job.
    deleted_at timestamptz,

    constraint jobs_key_format check (key ~ '^[a-z0-9][a-z0-9._/-]{0,254}$'),
    constraint jobs_name_length check (length(name) between 1 and 255),
    constraint jobs_labels_exist check (labels <> '{}'),
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
    constraint jobs_paused_since_when_paused check ((status = 'PAUSED') = (paused_since is not null)),
    constraint jobs_pause_when_paused check (status = 'PAUSED' or num_nonnulls(pause_until, pause_id) = 0),
    constraint jobs_last_run_is_known check ((last_run_for is null) = (last_run_status is null)),
    constraint jobs_updated_after_created check (updated_at >= created_at),
    constraint jobs_secrets_have_key check (
        (sealed_secrets is null) = (secrets_key_id is null)
        and (sealed_secrets is null) = (secret_names = '{}')
        and (secrets_digest is null or sealed_secrets is not null)
    )
);

create unique index jobs_key on jobs (namespace, key) where key is not null;
create index jobs_newest on jobs (namespace, created_at desc, id desc) where deleted_at is null;
create index jobs_by_name on jobs (namespace, name, id) where deleted_at is null;
create index jobs_by_part_of_name on jobs using gin (name gin_trgm_ops) where deleted_at is null;
create index jobs_by_label on jobs using gin (labels) where labels is not null;
create index jobs_newest_by_target_type on jobs (namespace, (target ->> 'type'), created_at desc, id desc) where deleted_at is null;
create index jobs_newest_by_queue on jobs (namespace, qualified_queue, created_at desc, id desc) where qualified_queue is not null and deleted_at is null;
create index jobs_newest_by_group on jobs (namespace, qualified_group, created_at desc, id desc) where qualified_group is not null and deleted_at is null;
create index jobs_by_pause on jobs (pause_id) where pause_id is not null;
create index jobs_newest_by_status on jobs (namespace, status, created_at desc, id desc) where deleted_at is null;
create index jobs_deleted on jobs (namespace, created_at desc, id desc) where deleted_at is not null;
create index jobs_suspended on jobs (namespace, id) where suspended and deleted_at is null;
create index jobs_pause_until on jobs (pause_until) where pause_until is not null;
-- The jobs whose last run, as far as it is known here, did not succeed. The many whose runs succeed
-- are not in it.
create index jobs_not_succeeded on jobs (namespace, last_run_status, created_at desc, id desc)
where deleted_at is null and (last_run_status <> 'SUCCEEDED' or failures > 0);
create index jobs_by_secrets_key on jobs (secrets_key_id) where secrets_key_id is not null;
-- A run's id ends with the last eight bytes of its job's id. This index leads from there to the
-- job.
create unique index jobs_run_tail on jobs (substring(uuid_send(id) from 9));

-- The definitions that jobs had before the one that they have. A change stores the old one under
-- the lock of the job, so a job that is never changed has no row here. They go with their job, or
-- when they are old.
create table job_versions (
    job_id uuid not null,
    version integer not null,
    -- When and by whom this version was made, as jobs.updated_at and jobs.updated_by.
    updated_at timestamptz not null,
    updated_by text not null,
    superseded_at timestamptz not null,
    -- The status that the change which made the next version left the job with. What it has later
    -- may be what the service has made of it.
    next_status job_status not null,
    next_status_reason text,
    -- The row of jobs (job_image). json, because it contains the payload.
    definition json not null,

    primary key (job_id, version)
);

create index job_versions_superseded on job_versions (superseded_at);

-- The right to execute runs, limited in time: one row for each instance, and one for each lease of
-- a worker. A heartbeat renews it. It is written every few seconds, so it must stay small enough to
-- be vacuumed in passing.
create table leases (
    id uuid primary key,
    -- Who holds it, for people: an instance's host and process, or the name that a worker gave.
    holder text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    -- Only for workers' leases: the queue (as in due), for how long a heartbeat extends the lease,
    -- and the runs it holds. So these runs are found when the lease expires, without reading what
    -- else waits in the queues.
    queue text collate "C",
    duration interval,
    job_ids uuid[],
    scheduled_fors timestamptz[],
    -- The versions of the jobs when they were leased. Null: each job had its first version.
    job_versions integer[],

    constraint leases_of_workers_hold check (num_nulls(queue, duration, job_ids, scheduled_fors) in (0, 4))
) with (fillfactor = 50);

-- What is still to be executed: one row for the next occurrence of each active job, and one for
-- each other run that has not ended. This table is hot and narrow. A claim changes no indexed
-- column, so it stays a heap-only update, for which the fillfactor leaves room on the page.
create table due (
    -- The columns that claims and completions change come first: an update logs nothing of the end
    -- of a row that it leaves as it is. Their order leaves few gaps for alignment.
    job_id uuid not null,
    scheduled_for timestamptz not null,
    -- The earliest instant at which it may start.
    ready_at timestamptz not null,
    -- Whether this row carries its job's schedule: completing it moves it to the next occurrence.
    -- Any other row is deleted when it is completed.
    carries_schedule boolean not null,
    -- The number of attempts begun. A claim counts, so that a run which kills its instance is
    -- counted.
    attempt smallint not null default 0,
    -- The token of the latest claim. A completion that carries another token changes nothing.
    token bigint not null default 0,
    -- The lease under which it is held. Null: nobody holds it.
    lease_id uuid,
    -- When attempt 1 may start: when it was claimed, or its ready_at if it was claimed ahead.
    started_at timestamptz,
    -- The start of the job's last run that has ended, and its instant.
    last_run_at timestamptz,
    last_run_for timestamptz,
    -- The job's runs since it last became active.
    run_count bigint not null default 0,
    -- The status of the run of last_run_for, and how many of the latest runs failed in a row.
    last_run_status run_status,
    failures smallint not null default 0,

    -- Whether a worker is to lease it. False for rows with a queue that an instance has to end, for
    -- example because the run was canceled.
    awaits_worker boolean not null default false,
    trigger run_trigger not null default 'SCHEDULE',
    -- Raised by every change of what follows this run. A completion that carries an older revision
    -- changes nothing; it computes the next occurrence again.
    revision integer not null default 0,
    -- When the job's schedule was changed while this run was in flight. Occurrences of the new
    -- schedule count from here.
    revised_at timestamptz,
    -- The job's concurrency group (jobs.qualified_group). Rows of a group are claimed in turns
    -- (ClaimGrouped).
    concurrency_group text,
    -- The job's queue (jobs.qualified_queue). Null: an instance executes it.
    queue text collate "C",
    -- The scheduled_for of the run that this run repeats.
    retry_of timestamptz,
    -- Why the run is to be canceled: whoever executes it stops, and no other attempt begins.
    cancel_reason run_reason,
    cancel_requested_at timestamptz,
    -- The failed attempts of this run, in the form of the contract's FailedAttempt.
    failed_attempts jsonb,
    -- A run started by hand that waits for the end of this one and then takes over the row: its
    -- scheduled_for and its retry_of.
    buffered_for timestamptz,
    buffered_retry_of timestamptz,

    primary key (job_id, scheduled_for),
    constraint due_never_early check (ready_at >= scheduled_for and started_at >= scheduled_for),
    constraint due_leased_was_claimed check (lease_id is null or (attempt > 0 and token > 0)),
    constraint due_started_when_attempted check ((attempt > 0) = (started_at is not null)),
    constraint due_worker_has_queue check (queue is not null or not awaits_worker),
    constraint due_retry_repeats check ((trigger = 'RETRY') = (retry_of is not null))
) with (
    fillfactor = 50,
    -- Rows change all the time and the table is small: vacuum it early, and without pauses.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.1
);

-- Instances claim rows that await no worker; workers lease the rows of their queue.
create index due_ready_at on due (ready_at) where not awaits_worker;
create index due_queue_ready_at on due (queue, ready_at) where awaits_worker;
create index due_never_ran on due (job_id) where carries_schedule and last_run_for is null;
create index due_grouped_ready_at on due (ready_at) where concurrency_group is not null;
-- Lists of runs find open ones by their instants. Most of those that instances execute are ready at
-- their instant, so due_ready_at finds them, and they are not in the first of these.
create index due_delayed on due (scheduled_for, job_id) where awaits_worker or ready_at > scheduled_for;
create index due_buffered on due (buffered_for) where buffered_for is not null;
-- The jobs whose last run did not succeed. A run that succeeds after another does not touch it.
create index due_not_succeeded on due (last_run_status, job_id)
where carries_schedule and (last_run_status <> 'SUCCEEDED' or failures > 0);

-- migrate:down

drop table due;
drop table leases;
drop table job_versions;
drop table jobs;
drop type run_reason;
drop type run_trigger;
drop type run_status;
drop type run_history;
drop type overlap_policy;
drop type misfire_policy;
drop type job_status;
