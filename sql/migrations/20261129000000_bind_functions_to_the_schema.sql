-- migrate:up

-- On Citus, no path leads to our schema where a statement is executed that was sent to a worker: a
-- function whose body is a text finds neither our functions nor our tables there. So the bodies of
-- those that call our functions are bound when they are created, and no function of a statement
-- reads a table: what several statements read in the same way is in sql/templates. find_jobs,
-- queues_between and job_image stay for instances of the version before, until a later version
-- drops them.

-- Whether a row of due is late: it has been ready for more than a minute, and nobody holds it. What
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

-- True. A statement that calls it is not executed by several processes. It costs nothing:
-- PostgreSQL heeds that it is unsafe for them, and then replaces the call by its result.
create function in_one_process() returns boolean
language sql immutable parallel unsafe
return true;

-- migrate:down

drop function in_one_process();

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
