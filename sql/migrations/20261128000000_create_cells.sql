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

-- Moves all rows of a namespace from one cell to another, and returns how many. The caller holds
-- the locks that keep them from being changed meanwhile.
--
-- Generated columns generate themselves. The types that a cell has for itself, such as run_status,
-- are converted by their texts.
create function move_namespace(moved text, from_cell text, to_cell text) returns bigint
language plpgsql as $$
declare
    -- Each table, after those through which its rows are found, with the condition for them.
    tables constant text[] := array[
        'namespaces', 'name = $1',
        'jobs', 'namespace = $1',
        'job_versions', 'job_id in (select id from %1$I.jobs where namespace = $1)',
        'due', 'job_id in (select id from %1$I.jobs where namespace = $1)',
        'runs', 'job_id in (select id from %1$I.jobs where namespace = $1)',
        'event_starts', 'namespace = $1',
        'expected_successes', 'namespace = $1',
        'unattended_queues', 'starts_with(queue, $1 || ''/'')',
        'run_stats', 'namespace = $1',
        'connections', 'namespace = $1',
        'connection_states', 'connection_id in (select id from %1$I.connections where namespace = $1)',
        'calendars', 'namespace = $1',
        'audit', 'namespace = $1',
        'idempotency_keys', 'namespace = $1'
    ];
    condition text;
    target text;
    source text;
    copied bigint;
    gone bigint;
    total bigint := 0;
begin
    for i in 1 .. array_length(tables, 1) by 2 loop
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
        execute format(
            'insert into %I.%I (%s) select %s from %I.%I where %s',
            to_cell, tables[i], target, source, from_cell, tables[i], condition
        ) using moved;
        get diagnostics copied = row_count;
        total := total + copied;
    end loop;
    for i in reverse array_length(tables, 1) - 1 .. 1 by 2 loop
        execute format('delete from %I.%I where %s', from_cell, tables[i], format(tables[i + 1], from_cell)) using moved;
        get diagnostics gone = row_count;
        total := total - gone;
    end loop;
    if total <> 0 then
        raise exception 'the cells differ by % rows after the namespace was moved', total;
    end if;
    execute format('select count(*) from %I.jobs where namespace = $1', to_cell) into total using moved;
    return total;
end
$$;

-- migrate:down

drop function move_namespace(text, text, text);
drop function create_cell_schema(text);
drop table placements;
drop table cells;
