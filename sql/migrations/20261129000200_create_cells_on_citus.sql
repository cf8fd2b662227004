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

-- Package jobs makes the images of jobs that job_versions keeps: a worker of Citus knows a row of
-- jobs by another type.
drop function job_image(jobs);

-- migrate:down

create function job_image(job jobs) returns json
language plpgsql stable set timezone = 'UTC' as $$
begin
    job.sealed_secrets := null;
    job.secrets_key_id := null;
    job.secrets_digest := null;
    return row_to_json(job);
end
$$;

create or replace function create_cell_schema(cell text) returns void
language plpgsql as $$
begin
    execute format('create schema if not exists %I', cell);
end
$$;
