-- migrate:up

-- On Citus, no path leads to our schema where a statement is executed that was sent to a worker: a
-- function whose body is a text finds neither our functions nor our tables there. So the bodies of
-- those that call our functions are bound when they are created, and no function of a statement
-- reads a table: what several statements read in the same way is in sql/templates.

-- Whether a row of due is late: it is ready since more than a minute, and nobody holds it. What
-- waits for the limits of a connection is not late.
create or replace function is_late(ready_at timestamptz, lease_id uuid, awaits_worker boolean, queue text) returns boolean
language sql stable parallel safe
return
    lease_id is null and ready_at < now() - interval '1 minute' and not (awaits_worker and is_of_connection(queue));

-- What a row of due waits for, as Run.waitingFor in openapi.yaml defines it. Nobody waits for what
-- is held, except within the limits of a connection, whose rows are claimed ahead of their turn;
-- what was canceled is ended at once.
create or replace function waiting_for(
    lease_id uuid, cancel_reason run_reason, ready_at timestamptz, queue text, awaits_worker boolean, concurrency_group text
) returns text
language sql stable parallel safe
return
    case
        when cancel_reason is not null then null
        when lease_id is not null then case when ready_at > clock_timestamp() and is_of_connection(queue) then 'CONNECTION' end
        when ready_at > now() then 'TIME'
        when not awaits_worker then null
        when queue = concurrency_group then 'CONCURRENCY_GROUP'
        when is_of_connection(queue) then 'CONNECTION'
        else 'WORKER'
    end;

drop function queues_between(text, text);
drop function find_jobs(text, uuid[], text[], text, text, text[], text, boolean, text, text, text, text, uuid, text[], text[], boolean);

-- True. A statement that calls it is not executed by several processes. It costs nothing:
-- PostgreSQL heeds that it is unsafe for them, and then replaces the call by its result.
create function in_one_process() returns boolean
language sql immutable parallel unsafe
return true;

-- migrate:down

drop function in_one_process();

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

create or replace function waiting_for(
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

create or replace function is_late(ready_at timestamptz, lease_id uuid, awaits_worker boolean, queue text) returns boolean
language sql stable parallel safe as $$
    select lease_id is null and ready_at < now() - interval '1 minute' and not (awaits_worker and is_of_connection(queue))
$$;
