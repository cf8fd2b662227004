-- migrate:up

-- Finds jobs by a part of their name. Whoever may create tables in a database may add it: it is
-- trusted. Its files are a part of PostgreSQL's contrib modules.
create extension if not exists pg_trgm;

create type job_status as enum ('ACTIVE', 'PAUSED', 'COMPLETED');
create type misfire_policy as enum ('FIRE_ONCE', 'SKIP', 'FIRE_ALL');
create type overlap_policy as enum ('SKIP', 'BUFFER_ONE', 'ALLOW_ALL', 'CANCEL_OTHER');
create type run_history as enum ('ALL', 'FAILURES');
create type run_status as enum ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED');
create type run_trigger as enum ('SCHEDULE', 'MANUAL', 'BACKFILL', 'RETRY', 'EVENT');
create type run_reason as enum (
    'MISFIRE', 'OVERLAP', 'LEASE_EXPIRED', 'DEADLINE_EXCEEDED', 'JOB_PAUSED', 'JOB_DELETED', 'REQUESTED',
    'EVENT_DEPTH'
);
create type on_skipped as enum ('DROP', 'NEXT_DAY', 'PREVIOUS_DAY');

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

    -- The schedule: exactly one of an interval, a cron expression, a recurrence rule, one instant,
    -- on demand, and events.
    -- An interval's occurrences are anchor_at + n * interval_seconds, for n = 1, 2, ..
    interval_seconds bigint,
    anchor_at timestamptz,
    cron text,
    rrule text,
    time_zone text,
    run_at timestamptz,
    -- Whether it runs only when it is asked to. Such a job, and one that events start, has no row
    -- of due that carries a schedule.
    on_demand boolean not null default false,
    -- The events that start it, in the form of the contract's StartsOn.
    starts_on json,
    -- The bounds of the schedule. Both are inclusive.
    start_at timestamptz,
    end_at timestamptz,
    max_runs bigint,
    jitter_seconds integer not null,
    -- The calendars whose days are left out, and those whose days alone count, by their keys. Null:
    -- none. What becomes of an occurrence on a day that is left out.
    skip_on text[],
    only_on text[],
    on_skipped on_skipped not null default 'DROP',
    -- The days of these calendars as they were when the job was last scheduled
    -- (internal/calendars). They stand here so that what comes next follows from the job alone.
    calendar_days json,
    -- The occurrences from and until these instants have had their runs already: the database's
    -- clock was ahead for a while, and has come back. Null: it was not.
    ran_ahead_from timestamptz,
    ran_ahead_until timestamptz,
    delete_after_completion boolean not null,

    misfire_policy misfire_policy not null,
    catchup_window_seconds bigint,
    overlap_policy overlap_policy not null,
    max_attempts smallint not null,
    min_backoff_seconds integer not null,
    max_backoff_seconds integer not null,
    attempt_deadline_seconds integer not null,
    pause_after_failures smallint,
    -- When a run counts as late, after how many failures in a row the job counts as failing, and
    -- how long it may be without success: see internal/events.
    late_after_seconds bigint,
    alert_after_failures smallint not null default 1,
    expect_success_within_seconds bigint,
    run_history run_history not null,
    -- At most max_concurrency runs of all jobs of one group execute at a time, over all instances.
    concurrency_group text,
    max_concurrency integer,
    -- Whether it has metrics of its own, and whether everybody may see how it is.
    metrics boolean not null default false,
    public_badge boolean not null default false,

    -- What executes the runs, as openapi.yaml describes it, without its secrets. json, like the
    -- payload.
    target json not null,
    -- Where the job's runs wait, by names that no other namespace can have: <namespace>/<name>. The
    -- queue in which workers lease them, or, with an equals sign before the name, that of the
    -- connection of which instances claim no more than its limits allow (null: instances claim them
    -- at once).
    qualified_queue text generated always as (
        namespace || '/' || coalesce(target ->> 'queue', '=' || (target ->> 'connection'))
    ) stored,
    -- The queue of the concurrency group, which has =~ before the name.
    qualified_group text generated always as (namespace || '/=~' || concurrency_group) stored,
    -- The queue in which a run waits first: for its place in the group, if there is one. A deleted
    -- job has none, so that instances end its runs.
    first_queue text generated always as (
        case when deleted_at is null then namespace || '/' || coalesce('=~' || concurrency_group, target ->> 'queue', '=' || (target ->> 'connection')) end
    ) stored,
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
    -- Whether the service has paused it because of how its runs ended, or because it would never be
    -- due. A request that gives a status has decided otherwise.
    paused_by_service boolean not null default false,
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
    -- When job.failing happened that job.recovered has not followed. Null: it did not.
    failing_since timestamptz,
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
    constraint jobs_one_schedule check (
        num_nonnulls(interval_seconds, cron, rrule, run_at, starts_on) + on_demand::integer = 1
    ),
    constraint jobs_interval_has_anchor check ((interval_seconds is null) = (anchor_at is null)),
    constraint jobs_cron_has_zone check ((num_nonnulls(cron, rrule) = 0) = (time_zone is null)),
    constraint jobs_calendars_exist check (skip_on <> '{}' and only_on <> '{}'),
    constraint jobs_bounds_positive check (
        interval_seconds > 0 and max_runs > 0 and jitter_seconds >= 0 and catchup_window_seconds >= 0
        and max_attempts > 0 and min_backoff_seconds >= 0 and max_backoff_seconds >= min_backoff_seconds
        and attempt_deadline_seconds > 0 and pause_after_failures > 0 and max_concurrency > 0
        and late_after_seconds >= 0 and alert_after_failures > 0 and expect_success_within_seconds > 0
    ),
    constraint jobs_ran_ahead_is_range check (num_nulls(ran_ahead_from, ran_ahead_until) in (0, 2)),
    constraint jobs_group_has_bound check ((concurrency_group is null) = (max_concurrency is null)),
    constraint jobs_ends_after_start check (end_at >= start_at),
    constraint jobs_paused_since_when_paused check ((status = 'PAUSED') = (paused_since is not null)),
    constraint jobs_pause_when_paused check (status = 'PAUSED' or num_nonnulls(pause_until, pause_id) = 0),
    constraint jobs_paused_by_service_when_paused check (status = 'PAUSED' or not paused_by_service),
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
create index jobs_by_connection on jobs (namespace, (target ->> 'connection'), id) where target ->> 'connection' is not null and deleted_at is null;
create index jobs_started_by_events on jobs (id) where starts_on is not null and deleted_at is null;
create index jobs_newest_unscheduled on jobs (namespace, created_at desc, id desc) where (on_demand or starts_on is not null) and deleted_at is null;
create index jobs_by_calendar on jobs (namespace, id) where calendar_days is not null and deleted_at is null;
create index jobs_by_pause on jobs (pause_id) where pause_id is not null;
create index jobs_newest_by_status on jobs (namespace, status, created_at desc, id desc) where deleted_at is null;
create index jobs_deleted on jobs (namespace, created_at desc, id desc) where deleted_at is not null;
create index jobs_suspended on jobs (namespace, id) where suspended and deleted_at is null;
create index jobs_pause_until on jobs (pause_until) where pause_until is not null;
-- The jobs whose last run, as far as it is known here, did not succeed. The many whose runs succeed
-- are not in it.
create index jobs_not_succeeded on jobs (namespace, last_run_status, created_at desc, id desc)
where deleted_at is null and (last_run_status <> 'SUCCEEDED' or failures > 0);
create index jobs_paused_by_service on jobs (namespace, paused_since desc, id) where paused_by_service and deleted_at is null;
create index jobs_with_metrics on jobs (namespace, id) where metrics and deleted_at is null;
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

-- migrate:down

drop table job_versions;
drop table jobs;
drop type on_skipped;
drop type run_reason;
drop type run_trigger;
drop type run_status;
drop type run_history;
drop type overlap_policy;
drop type misfire_policy;
drop type job_status;
