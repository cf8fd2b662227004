-- migrate:up

-- What became of each occurrence: one final row, written once, by the statement that completes the
-- run. The primary key makes the database itself refuse a second run of one occurrence. A run's id
-- is a function of this key (internal/runid), so it is not stored. There is no foreign key to jobs:
-- it would be checked for each run, and the history outlives its job.
create table runs (
    -- The columns that each run has come first, in an order that leaves few gaps for alignment.
    job_id uuid not null,
    scheduled_for timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz not null,
    status run_status not null,
    trigger run_trigger not null default 'SCHEDULE',
    attempt smallint not null,
    -- How many occurrences this row stands for. More than one only where they were skipped in a
    -- row.
    occurrences integer not null,
    retry_of timestamptz,
    reason run_reason,
    -- Of a run skipped because its job was paused: the job's status_reason then.
    status_reason text,
    error text,
    -- What the target answered, in the form of the contract's RunResult.
    result json,
    -- The attempts before the last one, as in due.
    failed_attempts jsonb,
    -- The version of the job that was executed. Null: the first, so that runs of a job which never
    -- changed cost nothing more.
    job_version integer,
    -- Who executed the last attempt, as its lease said. Stored for failed runs and for runs of
    -- workers only, so that a plain run costs nothing.
    executed_by text,
    -- When it was to be canceled.
    cancel_requested_at timestamptz,
    -- As in due.
    payload json,
    caused_by uuid,

    primary key (job_id, scheduled_for),
    constraint runs_never_early check (started_at >= scheduled_for and finished_at >= started_at),
    -- A run may be canceled before its first attempt.
    constraint runs_started_when_attempted check (
        (started_at is null) = (attempt = 0)
        and case status when 'SKIPPED' then attempt = 0 when 'CANCELED' then true else attempt > 0 end
    ),
    constraint runs_skipped_for_a_reason check (status <> 'SKIPPED' or reason is not null),
    constraint runs_failed_with_error check ((status = 'FAILED') = (error is not null)),
    constraint runs_retry_repeats check ((trigger = 'RETRY') = (retry_of is not null)),
    constraint runs_occurrences check (occurrences = 1 or (occurrences > 1 and status = 'SKIPPED'))
) partition by range (scheduled_for);

-- Lists of the runs of all jobs. Most runs are of the schedule and succeed: an index with a few
-- bytes for some hundred of them finds their time. The others are in an index of their own.
create index runs_by_time on runs using brin (scheduled_for) with (pages_per_range = 8, autosummarize = on);
create index runs_unusual on runs (scheduled_for, job_id) where status <> 'SUCCEEDED' or trigger <> 'SCHEDULE';

-- migrate:down

drop table runs;
