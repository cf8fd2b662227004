-- migrate:up

-- Creates the schema of a cell, unless it exists. On Citus, Citus keeps all of its tables on one of
-- the workers.
create or replace function create_cell_schema(cell text) returns void
language plpgsql as $$
begin
    if exists (select from pg_extension where extname = 'citus') then
        perform set_config('citus.enable_schema_based_sharding', 'on', true);
    end if;
    execute format('create schema if not exists %I', cell);
end
$$;

-- Moves all rows of a namespace from one cell to another, and returns how many jobs it has. The
-- caller holds locks of the namespace, its jobs and their runs. What is inserted is what was
-- deleted, so that what others change meanwhile moves with it. It is in a temporary table in
-- between, because no statement reaches two nodes of Citus.
--
-- Generated columns generate themselves. The types that a cell has for itself, such as run_status,
-- are converted by their texts.
create or replace function move_namespace(moved text, from_cell text, to_cell text) returns bigint
language plpgsql as $$
declare
    -- Each table, before those through which its rows are found, with the condition for them ($1 is
    -- the namespace, and $2 has the ids of its connections), and
    -- whether the other cell may have rows with the same keys: counts and answers that came late
    -- to a namespace that was there before.
    tables constant text[] := array[
        'job_versions', 'job_id in (select id from %1$I.jobs where namespace = $1)', 'no',
        'due', 'job_id in (select id from %1$I.jobs where namespace = $1)', 'no',
        'runs', 'job_id in (select id from %1$I.jobs where namespace = $1)', 'no',
        'event_starts', 'namespace = $1', 'no',
        'expected_successes', 'namespace = $1', 'no',
        'unattended_queues', 'starts_with(queue, $1 || ''/'')', 'yes',
        'run_stats', 'namespace = $1', 'yes',
        'connection_states', 'connection_id = any($2)', 'yes',
        'connections', 'namespace = $1', 'no',
        'calendars', 'namespace = $1', 'no',
        'audit', 'namespace = $1', 'no',
        'idempotency_keys', 'namespace = $1', 'yes',
        'jobs', 'namespace = $1', 'no',
        'namespaces', 'name = $1', 'no'
    ];
    connections uuid[];
    condition text;
    target text;
    source text;
    jobs bigint;
begin
    execute format('select coalesce(array_agg(id), ''{}'') from %I.connections where namespace = $1', from_cell) into connections using moved;
    for i in 1 .. array_length(tables, 1) by 3 loop
        condition := format(tables[i + 1], from_cell);
        select
            string_agg(quote_ident(a.attname), ', ' order by a.attnum),
            string_agg(
                case
                    when t.typtype = 'e'
                        then format('%I::text::%I.%I', a.attname, to_cell, t.typname)
                    else quote_ident(a.attname)
                end, ', ' order by a.attnum
            )
        into target, source
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        where a.attrelid = format('%I.%I', from_cell, tables[i])::regclass
          and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
        if tables[i + 2] = 'yes' then
            execute format('delete from %I.%I where %s', to_cell, tables[i], condition) using moved, connections;
        end if;
        execute format('create temporary table moving on commit drop as select * from %I.%I limit 0', from_cell, tables[i]);
        execute format(
            'with moving_rows as (delete from %I.%I where %s returning *) insert into pg_temp.moving select * from moving_rows',
            from_cell, tables[i], condition
        ) using moved, connections;
        execute format('insert into %I.%I (%s) select %s from pg_temp.moving', to_cell, tables[i], target, source);
        drop table pg_temp.moving;
    end loop;
    execute format('select count(*) from %I.jobs where namespace = $1', to_cell) into jobs using moved;
    return jobs;
end
$$;

-- migrate:down

create or replace function move_namespace(moved text, from_cell text, to_cell text) returns bigint
language plpgsql as $$
declare
    -- Each table, before those through which its rows are found, with the condition for them, and
    -- whether the other cell may have rows with the same keys: counts and answers that came late
    -- to a namespace that was there before.
    tables constant text[] := array[
        'job_versions', 'job_id in (select id from %1$I.jobs where namespace = $1)', 'no',
        'due', 'job_id in (select id from %1$I.jobs where namespace = $1)', 'no',
        'runs', 'job_id in (select id from %1$I.jobs where namespace = $1)', 'no',
        'event_starts', 'namespace = $1', 'no',
        'expected_successes', 'namespace = $1', 'no',
        'unattended_queues', 'starts_with(queue, $1 || ''/'')', 'yes',
        'run_stats', 'namespace = $1', 'yes',
        'connection_states', 'connection_id in (select id from %1$I.connections where namespace = $1)', 'yes',
        'connections', 'namespace = $1', 'no',
        'calendars', 'namespace = $1', 'no',
        'audit', 'namespace = $1', 'no',
        'idempotency_keys', 'namespace = $1', 'yes',
        'jobs', 'namespace = $1', 'no',
        'namespaces', 'name = $1', 'no'
    ];
    condition text;
    target text;
    source text;
    jobs bigint;
begin
    for i in 1 .. array_length(tables, 1) by 3 loop
        condition := format(tables[i + 1], from_cell);
        select
            string_agg(quote_ident(a.attname), ', ' order by a.attnum),
            string_agg(
                case
                    when t.typtype = 'e'
                        then format('%I::text::%I.%I', a.attname, to_cell, t.typname)
                    else quote_ident(a.attname)
                end, ', ' order by a.attnum
            )
        into target, source
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        where a.attrelid = format('%I.%I', from_cell, tables[i])::regclass
          and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
        if tables[i + 2] = 'yes' then
            execute format('delete from %I.%I where %s', to_cell, tables[i], condition) using moved;
        end if;
        execute format(
            'with moving as (delete from %1$I.%2$I where %3$s returning *) insert into %4$I.%2$I (%5$s) select %6$s from moving',
            from_cell, tables[i], condition, to_cell, target, source
        ) using moved;
    end loop;
    execute format('select count(*) from %I.jobs where namespace = $1', to_cell) into jobs using moved;
    return jobs;
end
$$;

create or replace function create_cell_schema(cell text) returns void
language plpgsql as $$
begin
    execute format('create schema if not exists %I', cell);
end
$$;
