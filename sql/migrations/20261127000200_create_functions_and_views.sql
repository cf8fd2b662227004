-- migrate:up

-- What job_versions keeps of a job: its row, without the sealed secrets. json keeps the payload as
-- it is, byte for byte. Instants are in UTC: in another zone those of long ago have offsets with
-- seconds, which RFC 3339 does not know.
create function job_image(job jobs) returns json
language plpgsql stable set timezone = 'UTC' as $$
begin
    job.sealed_secrets := null;
    job.secrets_key_id := null;
    job.secrets_digest := null;
    return row_to_json(job);
end
$$;

-- What a row of due waits for, as Run.waitingFor in openapi.yaml defines it. Nobody waits for what
-- is held, except within the limits of a connection, whose rows are claimed ahead of their turn;
-- what was canceled is ended at once.
create function waiting_for(
    lease_id uuid, cancel_reason run_reason, ready_at timestamptz, queue text, awaits_worker boolean, concurrency_group text
) returns text
language sql stable parallel safe as $$
    select case
        when cancel_reason is not null then null
        when lease_id is not null then case when ready_at > clock_timestamp() and is_of_connection(queue) then 'CONNECTION' end
        when ready_at > now() then 'TIME'
        when not awaits_worker then null
        when queue = concurrency_group then 'CONCURRENCY_GROUP'
        when is_of_connection(queue) then 'CONNECTION'
        else 'WORKER'
    end
$$;

-- The runs that have not ended: those that are due, those that execute, those that wait for another
-- run's end, and those that somebody has asked for, due or not. Of the schedule, a row that was
-- claimed ahead of its instant is not a run yet. ready_at and awaits_worker are only for finding
-- them by an index. now() is older than the snapshot of a statement: the start of a run that was
-- claimed since then lies after now(), but not after clock_timestamp().
create view open_runs as
select
    job_id, scheduled_for, case when started_at <= clock_timestamp() then 'RUNNING' else 'PENDING' end as status,
    trigger, retry_of, case when started_at <= clock_timestamp() then attempt else 0::smallint end as attempt,
    case when started_at <= clock_timestamp() then started_at end as started_at, failed_attempts,
    case when started_at <= clock_timestamp() then l.holder end as executed_by, cancel_requested_at,
    ready_at, awaits_worker, payload, caused_by,
    waiting_for(lease_id, cancel_reason, ready_at, due.queue, awaits_worker, concurrency_group) as waiting_for
from due
left join leases l on l.id = lease_id
where (ready_at <= now() or attempt > 0 or trigger <> 'SCHEDULE')
  and (started_at is null or started_at <= clock_timestamp() or scheduled_for <= now() or trigger <> 'SCHEDULE')
union all
select
    job_id, buffered_for, 'PENDING',
    coalesce(buffered_trigger, 'MANUAL'),
    buffered_retry_of, 0::smallint, null, null, null, null, buffered_for, false, buffered_payload, buffered_caused_by,
    null
from due
where buffered_for is not null;

-- The partitions of runs, by their names: runs_20261127 holds one day (UTC), and
-- runs_20260301_20260331 the days from the first to the last. Reading this view locks no partition,
-- unlike reading runs without a bound on scheduled_for. Materialized, because the names of other
-- tables are no dates.
create view runs_partitions as
with partition as materialized (
    select c.relname::text as name
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'runs'::regclass
)
select
    name,
    to_date(substr(name, 6, 8), 'YYYYMMDD') as first_day,
    to_date(right(name, 8), 'YYYYMMDD') as last_day
from partition;

-- How a job is, as JobHealth in openapi.yaml defines it. The function healthOf in internal/jobs
-- says the same, and a test compares both. failures and last_run_for are those of the job or of the
-- due row that carries its schedule, whichever has the later last_run_for; is_late is whether any
-- due row of the job is (is_late).
create function job_health(status job_status, failures smallint, is_late boolean, last_run_for timestamptz) returns text
language sql immutable parallel safe as $$
    select case
        when status = 'PAUSED' then 'PAUSED'
        when failures > 0 then 'FAILING'
        when is_late then 'LATE'
        when status = 'COMPLETED' then 'COMPLETED'
        when last_run_for is null then 'NEVER_RAN'
        else 'OK'
    end
$$;

-- The place behind which the next queue of workers is found: the name of a queue itself, or the end
-- of the queues of connections and concurrency groups of its namespace, which follow each other.
create function queue_before_next(queue text) returns text
language sql immutable parallel safe as $$
    select case when strpos(queue, '/=') > 0 then split_part(queue, '/=', 1) || '/>' else queue end
$$;

-- The queues in which runs wait, or are held by workers, between two names, by name: those of
-- workers, of connections and of concurrency groups. It reads one entry of the index for each.
create function queues_between(after text, before text) returns table (name text)
language sql stable parallel safe as $$
    with recursive queue as (
        (
            select d.queue as name
            from due d
            where d.awaits_worker and d.queue > after and d.queue < before
            order by d.queue
            limit 1
        )
        union all
        select n.name
        from queue q
        cross join lateral (
            select d.queue as name
            from due d
            where d.awaits_worker and d.queue > q.name and d.queue < before
            order by d.queue
            limit 1
        ) n
    )
    select q.name from queue q
$$;

-- The jobs of a namespace that match a filter: all of its arguments that are not null. It is the
-- one place that says what a filter means. PostgreSQL replaces a call by the statement, in which
-- the arguments that are null vanish if they are known when it is planned (database.PlanEach), so
-- the indexes of jobs serve each filter.
--
-- A row that carries the schedule knows of later runs than its job, or of earlier ones: see the
-- columns of jobs.
--
-- It is called unsafe so that no statement with it is executed by several processes: to start them
-- takes longer than most lists take, and they would take the processors from what is due.
create function find_jobs(
    namespace text, ids uuid[], keys text[], name_pattern text, key_prefix text, label_names text[], label_predicate text, needs_labels boolean,
    statuses text, target_type text, queue text, concurrency_group text, pause_id uuid,
    last_run_statuses text[], healths text[], is_unscheduled boolean
) returns setof jobs
language sql stable parallel unsafe as $$
    select j.*
    from jobs j
    where j.namespace = $1
      and j.deleted_at is null
      and ($2 is null or j.id = any((select $2)::uuid[])) -- see "Plans" in docs/performance.md
      and ($3 is null or j.key = any($3))
      and ($4 is null or j.name ilike $4)
      and ($5 is null or j.key ^@ $5)
      -- The index has no entries for jobs without labels, and a selector may match them.
      and ($6 is null or j.labels ?& $6)
      and ($7 is null or case when $8 then j.labels @@ $7::jsonpath else coalesce(j.labels, '{}') @@ $7::jsonpath end)
      -- Statuses are one text, because PostgreSQL does not estimate what an array is turned into.
      and ($9 is null or j.status = any($9::job_status[]))
      and ($10 is null or j.target ->> 'type' = $10)
      and ($11 is null or j.qualified_queue = $11)
      and ($12 is null or j.qualified_group = $12)
      and ($13 is null or j.pause_id = $13)
      -- Only jobs that have no schedule.
      and (not coalesce($16, false) or j.on_demand or j.starts_on is not null)
      and ($14 is null and $15 is null or exists (
          select
          from (select) one
          left join due d on d.job_id = j.id and d.carries_schedule
          where ($14 is null or case when d.last_run_for > coalesce(j.last_run_for, '-infinity')
                  then d.last_run_status else j.last_run_status end = any($14::run_status[]))
            and ($15 is null or job_health(
                  j.status,
                  case when d.last_run_for > coalesce(j.last_run_for, '-infinity') then d.failures else j.failures end,
                  -- Late does not matter if only those are wanted that are worse.
                  not $15 <@ '{PAUSED,FAILING}'
                      and exists (select from due r where r.job_id = j.id and is_late(r.ready_at, r.lease_id, r.awaits_worker, r.queue)),
                  greatest(d.last_run_for, j.last_run_for)
              ) = any($15))
      ))
$$;

-- Adds an attempt that was lost with its instance or worker to the failed attempts of a run. When
-- it began is not known exactly: not before the attempt before it ended, nor before began_after.
create function add_lost_attempt(
    failed_attempts jsonb, attempt smallint, began_after timestamptz, ended_at timestamptz, holder text
) returns jsonb
language sql stable parallel safe as $$
    select coalesce(failed_attempts, '[]'::jsonb) || jsonb_build_object(
        'attempt', attempt, 'startedAt', began_at, 'finishedAt', greatest(ended_at, began_at),
        'error', 'the lease of ' || coalesce(holder, 'the instance') || ' expired before the attempt ended',
        'result', null, 'reason', 'LEASE_EXPIRED', 'executedBy', holder
    )
    from (select greatest(began_after, (failed_attempts -> -1 ->> 'finishedAt')::timestamptz) as began_at) b
$$;

-- Creates the partition of runs for one day (UTC), unless it exists. Returns whether it did. Many
-- sessions may call it at once.
--
-- A partition holds one day. If that day is more than a month ago, the partition holds the whole
-- month, except for days that have a partition already: a backfill of years must not create
-- thousands of partitions, because each one makes every completion and every list a little slower.
--
-- The table is created alone and then attached, which, unlike "create table .. partition of",
-- blocks no reader and no writer. It is analysed at once: without statistics its first completions
-- would be planned badly.
create function create_runs_partition(day date) returns boolean
language plpgsql as $$
declare
    month_ago constant date := (now() at time zone 'UTC')::date - 31;
    month_start constant date := date_trunc('month', day);
    partition_name text := 'runs_' || to_char(day, 'YYYYMMDD');
    first_day date := day;
    last_day date := day;
begin
    if to_regclass(partition_name) is not null
        or exists (select from runs_partitions p where day between p.first_day and p.last_day)
    then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('create_runs_partition', 0));
    -- Another session may have created it while this one waited for the lock.
    if exists (select from runs_partitions p where day between p.first_day and p.last_day) then
        return false;
    end if;
    if day < month_ago then
        first_day := greatest(
            month_start,
            (select max(p.last_day) + 1 from runs_partitions p where p.last_day < day)
        );
        last_day := least(
            month_start + interval '1 month' - interval '1 day',
            month_ago - 1,
            (select min(p.first_day) - 1 from runs_partitions p where p.first_day > day)
        );
    end if;
    if first_day < last_day then
        partition_name := format('runs_%s_%s', to_char(first_day, 'YYYYMMDD'), to_char(last_day, 'YYYYMMDD'));
    end if;
    execute format('create table %I (like runs including defaults including constraints)', partition_name);
    execute format(
        'alter table runs attach partition %I for values from (%L) to (%L)',
        partition_name, first_day::timestamp at time zone 'UTC', (last_day + 1)::timestamp at time zone 'UTC'
    );
    execute format('analyze %I', partition_name);
    return true;
end
$$;

-- Drops the oldest partition of runs if all of its days are before one (UTC). Returns whether it
-- did. It drops one partition only: each takes several locks until the end of the transaction, and
-- the table of locks, which all sessions share, holds some thousands. For a moment it needs runs
-- for itself; if somebody reads for long, it gives up rather than make others wait.
create function drop_oldest_runs_partition(before date) returns boolean
language plpgsql as $$
declare
    partition_name text;
begin
    perform set_config('lock_timeout', '2s', true);
    perform pg_advisory_xact_lock(hashtextextended('drop_oldest_runs_partition', 0));
    select p.name into partition_name
    from runs_partitions p
    where p.last_day < before
    order by p.last_day
    limit 1;
    if partition_name is null then
        return false;
    end if;
    execute format('drop table %I', partition_name);
    return true;
end
$$;

-- migrate:down

drop function drop_oldest_runs_partition(date);
drop function create_runs_partition(date);
drop view runs_partitions;
drop function add_lost_attempt(jsonb, smallint, timestamptz, timestamptz, text);
drop function queues_between(text, text);
drop function queue_before_next(text);
drop function find_jobs(text, uuid[], text[], text, text, text[], text, boolean, text, text, text, text, uuid, text[], text[], boolean);
drop function job_health(job_status, smallint, boolean, timestamptz);
drop view open_runs;
drop function waiting_for(uuid, run_reason, timestamptz, text, boolean, text);
drop function job_image(jobs);
