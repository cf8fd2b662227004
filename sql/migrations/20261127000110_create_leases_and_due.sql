-- migrate:up

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

    -- Whether it waits in its queue: for a worker, for the limits of a connection, or for a place
    -- in its concurrency group. False for rows with a queue that instances may claim: to end them,
    -- for example because the run was canceled, or because they have a place in their group. Also
    -- false for those of connections that an instance has claimed.
    awaits_worker boolean not null default false,
    trigger run_trigger not null default 'SCHEDULE',
    -- Raised by every change of what follows this run. A completion that carries an older revision
    -- changes nothing; it computes the next occurrence again.
    revision integer not null default 0,
    -- When the job's schedule was changed while this run was in flight. Occurrences of the new
    -- schedule count from here.
    revised_at timestamptz,
    -- The job's concurrency group (jobs.qualified_group).
    concurrency_group text collate "C",
    -- The queue in which it waits: at first that of jobs.first_queue, which is the concurrency
    -- group's if there is one. With its place there, a run for a worker moves to the worker's
    -- queue. Null: instances claim it at once.
    queue text collate "C",
    -- The scheduled_for of the run that this run repeats.
    retry_of timestamptz,
    -- Why the run is to be canceled: whoever executes it stops, and no other attempt begins.
    cancel_reason run_reason,
    cancel_requested_at timestamptz,
    -- The failed attempts of this run, in the form of the contract's FailedAttempt.
    failed_attempts jsonb,
    -- The end of the blackout for which the run was put back: it holds while ready_at is the same.
    -- Null: it never was.
    held_until timestamptz,
    -- The payload of this run. Null: that of the job.
    payload json,
    -- The run whose event has started this one, and how many runs come before it in the chain.
    -- Null: no event has, and none.
    caused_by uuid,
    event_depth smallint,
    -- A run that somebody or an event has started, that waits for the end of this one and then
    -- takes over the row: its scheduled_for, and the same of it as above. No trigger: MANUAL.
    buffered_for timestamptz,
    buffered_trigger run_trigger,
    buffered_retry_of timestamptz,
    buffered_payload json,
    buffered_caused_by uuid,
    buffered_event_depth smallint,

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

-- Instances claim rows that wait in no queue, and workers those of their queue. Instances also
-- claim those in the queues of connections, and give places to those in the queues of concurrency
-- groups, within their limits.
create index due_ready_at on due (ready_at) where not awaits_worker;
create index due_queue_ready_at on due (queue, ready_at) where awaits_worker;
-- The rows of connections, those that are claimed and those that wait (ClaimLimited), and those of
-- concurrency groups that have no place yet (GivePlaces). It has only columns that other indexes
-- have, too, so it takes no heap-only update from anybody.
create index due_limited on due (queue, awaits_worker, carries_schedule, ready_at) where strpos(queue, '/=') > 0;
create index due_never_ran on due (job_id) where carries_schedule and last_run_for is null;
-- The rows that have a place in a concurrency group: an instance or a worker holds them, or is
-- about to.
create index due_in_place on due (concurrency_group) where concurrency_group is not null and not (awaits_worker and queue = concurrency_group);
-- Lists of runs find open ones by their instants. Most of those that instances execute are ready at
-- their instant, so due_ready_at finds them, and they are not in the first of these.
create index due_delayed on due (scheduled_for, job_id) where awaits_worker or ready_at > scheduled_for;
-- Those that somebody or an event has asked for, which may be due at any time to come.
create index due_asked_for on due (scheduled_for, job_id) where trigger <> 'SCHEDULE';
create index due_buffered on due (buffered_for) where buffered_for is not null;
-- The jobs whose last run did not succeed. A run that succeeds after another does not touch it.
create index due_not_succeeded on due (last_run_status, job_id)
where carries_schedule and (last_run_status <> 'SUCCEEDED' or failures > 0);

-- Whether a queue is that of a connection. Those of concurrency groups begin with =~, which no key
-- of a connection does.
create function is_of_connection(queue text) returns boolean
language sql immutable parallel safe as $$
    select strpos(queue, '/=') > 0 and strpos(queue, '/=~') = 0
$$;

-- Whether a row of due is to be claimed from its queue: its job's runs are executed by workers or
-- within the limits of a connection or a concurrency group (queue), it was not canceled, and
-- attempts are left. If not, an instance claims the row, to execute or to end it. A deleted job has
-- no queue. Together with queue and concurrency_group, which are the job's, this is where a row
-- waits.
create function awaits_worker(queue text, cancel_reason run_reason, attempts smallint, max_attempts smallint)
returns boolean
language sql immutable parallel safe as $$
    select queue is not null and cancel_reason is null and attempts < max_attempts
$$;

-- Whether a row of due is late: it is ready since more than a minute, and nobody holds it. What
-- waits for the limits of a connection is not late.
create function is_late(ready_at timestamptz, lease_id uuid, awaits_worker boolean, queue text) returns boolean
language sql stable parallel safe as $$
    select lease_id is null and ready_at < now() - interval '1 minute' and not (awaits_worker and is_of_connection(queue))
$$;

-- migrate:down

drop function is_late(timestamptz, uuid, boolean, text);
drop function awaits_worker(text, run_reason, smallint, smallint);
drop function is_of_connection(text);
drop table due;
drop table leases;
