-- migrate:up

-- The services that http targets call. A target names a connection by its key, which is fixed.
create table connections (
    id uuid primary key,
    namespace text not null,
    key text collate "C" not null,
    base_url text not null,
    -- The rest of the contract's Connection that says how to call it, without its secrets.
    definition json not null,
    -- As in jobs, bound to the id of the connection.
    sealed_secrets bytea,
    secrets_key_id text,
    secret_names text[] not null default '{}',
    -- The limits over all instances. Null: none.
    max_concurrency integer not null,
    max_per_second integer,
    is_adaptive boolean not null,
    created_at timestamptz not null default now(),
    -- When and by whom it was last changed, in the form of audit.actor.
    updated_at timestamptz not null default now(),
    updated_by text not null,

    constraint connections_key_unique unique (namespace, key),
    constraint connections_key_format check (key ~ '^[a-z0-9][a-z0-9._-]{0,99}$'),
    constraint connections_limits_positive check (max_concurrency > 0 and max_per_second > 0),
    constraint connections_secrets_have_key check (
        (sealed_secrets is null) = (secrets_key_id is null) and (sealed_secrets is null) = (secret_names = '{}')
    )
);

create index connections_by_secrets_key on connections (secrets_key_id) where secrets_key_id is not null;

-- What instances know together of a connection. It is written many times a second while a limit in
-- time is used up, so it is narrow, and apart from what requests change.
create table connection_states (
    connection_id uuid primary key,
    -- The first instant at which another attempt may begin, by max_per_second.
    next_start_at timestamptz not null default '-infinity',
    -- Before this, none begins: the receiver has asked for it, or it is down.
    waits_until timestamptz not null default '-infinity',
    -- Since when it is down, and why. Null: it is not.
    down_since timestamptz,
    reason text,
    -- How many times in a row it was found to be down still.
    failed_probes integer not null default 0,
    -- When an instance looked at its queue last, and since when some instance does so all the time.
    -- What has become ready before then was not served in time. What has become ready since then,
    -- and waits, waits for a limit.
    served_at timestamptz not null default '-infinity',
    served_since timestamptz not null default '-infinity'
) with (fillfactor = 50);

-- Days, by their names. Jobs name calendars by their keys, which are fixed.
create table calendars (
    id uuid primary key,
    namespace text not null,
    key text collate "C" not null,
    -- The contract's CalendarReplace, in which the events of iCalendar files are dates and ranges.
    definition json not null,
    valid_until date,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    updated_by text not null,
    -- Jobs that name the calendar may still have the days that it had before updated_at.
    is_spreading boolean not null default false,

    constraint calendars_key_unique unique (namespace, key),
    constraint calendars_key_format check (key ~ '^[a-z0-9][a-z0-9._-]{0,99}$')
);

create index calendars_spreading on calendars (updated_at) where is_spreading;

-- The private keys that sign tokens for receivers, sealed like the secrets of a job. The newest one
-- signs; the older ones are published as long as their tokens are valid.
create table token_keys (
    id uuid primary key,
    sealed_key bytea not null,
    secrets_key_id text not null,
    public_key bytea not null,
    created_at timestamptz not null default now()
);

-- migrate:down

drop table token_keys;
drop table calendars;
drop table connection_states;
drop table connections;
