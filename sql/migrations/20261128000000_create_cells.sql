-- migrate:up

-- The cells besides the first one: schemas that have the same tables as this one, for the rows of
-- other namespaces. Only the first cell, to which the URL of the database leads, has rows in this
-- table and in the next, as well as in keys, sessions and token_keys.
create table cells (
    name text primary key,
    created_at timestamptz not null default now(),

    constraint cells_name_format check (name ~ '^[a-z][a-z0-9_]{0,39}$')
);

-- In which cell each namespace is that is not in the first one.
create table placements (
    namespace text primary key,
    cell text not null
);

create index placements_by_cell on placements (cell, namespace);

-- Creates the schema of a cell, unless it exists.
create function create_cell_schema(cell text) returns void
language plpgsql as $$
begin
    execute format('create schema if not exists %I', cell);
end
$$;

-- Moves all rows of a namespace from one cell to another, and returns how many jobs it has. The
-- caller holds locks of the namespace, its jobs and their runs. Each row is deleted and inserted by
-- one statement, so that what others change meanwhile moves with it.
--
-- Generated columns generate themselves. The types that a cell has for itself, such as run_status,
-- are converted by their texts.
create function move_namespace(moved text, from_cell text, to_cell text) returns bigint
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

-- migrate:down

drop function move_namespace(text, text, text);
drop function create_cell_schema(text);
drop table placements;
drop table cells;
