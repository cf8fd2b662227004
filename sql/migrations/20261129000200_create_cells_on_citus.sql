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

-- migrate:down

create or replace function create_cell_schema(cell text) returns void
language plpgsql as $$
begin
    execute format('create schema if not exists %I', cell);
end
$$;
