-- migrate:up

-- What a team has to itself. Every job, with its runs, its queue and its concurrency group, and
-- every key belong to one namespace. Nothing refers to this table by a foreign key, because that
-- would lock a row of it for each new job.
create table namespaces (
    name text primary key,
    description text not null,
    -- The limits. Null: none.
    max_jobs integer,
    min_interval_seconds integer,
    requests_per_second integer,
    -- How long its runs are kept, if that is shorter than the service keeps them.
    run_retention_days integer,
    -- Its runs of the days before this one (UTC) have been deleted.
    runs_deleted_before date,
    -- The times in which no run starts, in the form of the contract's Blackouts. Null: none.
    blackouts json,
    -- Since when none of its jobs is executed. Null: it is not suspended.
    suspended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- A deleted namespace is hidden, and stays as long as there are rows of its jobs.
    deleted_at timestamptz,
    -- Since when it is being moved to another cell: until that has ended, nothing of it may be
    -- changed. Null: it is not.
    moving_since timestamptz,

    constraint namespaces_name_format check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint namespaces_limits_positive check (
        max_jobs >= 0 and min_interval_seconds > 0 and requests_per_second > 0 and run_retention_days > 0
    )
);

-- The namespace of those who name none.
insert into namespaces (name, description) values ('default', 'The namespace of requests that name none.');

-- The credentials of programs: API keys. A key is punc_<id>_<secret>; only the digest of the secret
-- is stored.
create table keys (
    id text primary key,
    -- Null: the key is for all namespaces, and each request names one.
    namespace text,
    secret_sha256 bytea not null,
    description text not null,
    scopes text[] not null,
    -- With the scope workers: the queues that the key serves. Null: all.
    queues text[],
    requests_per_second integer,
    created_at timestamptz not null default now(),
    -- Who created it, in the form of audit.actor.
    created_by text not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    -- When it was last used, to within some minutes: it is not written for each request.
    last_used_at timestamptz,

    constraint keys_secret_length check (length(secret_sha256) = 32),
    constraint keys_rate_positive check (requests_per_second > 0)
);

create index keys_newest on keys (namespace, created_at desc, id desc);

-- Who changed what: a row for each operation that changed something, written in its transaction.
create table audit (
    namespace text not null,
    at timestamptz not null default clock_timestamp(),
    id uuid not null default gen_random_uuid(),
    -- Who: key:<id>, user:<subject of a token>, command, anonymous or system.
    actor text not null,
    -- The operation, as its operationId in openapi.yaml.
    operation text not null,
    -- What was changed: JOB, RUN, KEY, NAMESPACE, CONNECTION or CALENDAR, and its id, name or key.
    resource_type text not null,
    resource_id text not null,
    -- The request, as in the log. Null: there was none.
    request_id text,
    -- What came of it, in the form of the contract's AuditResult.
    result json not null,

    primary key (namespace, at, id)
);

-- For the entries about one thing.
create index audit_by_resource on audit (resource_id, at, id);

-- migrate:down

drop table audit;
drop table keys;
drop table namespaces;
