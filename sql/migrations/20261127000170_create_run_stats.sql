-- migrate:up

-- How many runs have ended, and how late and how long they were: by the minute in which they ended,
-- and of what is older by the hour. Instances count in memory and add to it once a minute, besides
-- the statement that completes a run (internal/stats).
create table run_stats (
    namespace text not null,
    -- Runs of jobs with this label, as name=value. Empty: all runs of the namespace.
    label text collate "C" not null,
    -- The first instant of the minute, or of the hour.
    starts_at timestamptz not null,
    is_hour boolean not null default false,
    trigger run_trigger not null,
    -- The type of the target. Empty: it is not known.
    target_type text collate "C" not null,
    succeeded bigint not null,
    failed bigint not null,
    canceled bigint not null,
    -- Occurrences that were not executed.
    skipped bigint not null,
    -- How many labels of runs were not counted because there were too many. Only where label is
    -- empty.
    labels_left_out bigint not null,
    -- The greatest lateness, in microseconds.
    max_lateness bigint not null,
    -- How many runs were how late, and took how long: each element is the number of a bucket, times
    -- 2^40, plus a count. A bucket may come more than once, so || adds two of them up.
    lateness bigint[] not null,
    duration bigint[] not null,

    primary key (namespace, label, starts_at, is_hour, trigger, target_type)
);

-- What is to become an hour, and what is to be deleted.
create index run_stats_minutes on run_stats (starts_at) where not is_hour;
create index run_stats_hours on run_stats (namespace, starts_at) where is_hour;

-- migrate:down

drop table run_stats;
