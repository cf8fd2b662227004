-- migrate:up

-- The processes of the service: a row for each, which it renews every few seconds. One that died
-- without notice leaves a row that has expired.
create table instances (
    id uuid primary key,
    -- Its host and process, for people, as in leases.holder.
    name text not null,
    version text not null,
    -- What it does: API, POLLER.
    roles text[] not null,
    started_at timestamptz not null default now(),
    -- Until when it counts as alive.
    expires_at timestamptz not null,
    -- What it did when it renewed the row: how many runs it held, and how many requests of workers
    -- waited in which queues (as in due).
    executing integer not null,
    asked_queues text[] collate "C" not null,
    asking integer[] not null,

    constraint instances_asking_belongs_to_queues check (cardinality(asked_queues) = cardinality(asking))
) with (fillfactor = 50);

-- What became of requests that have an Idempotency-Key. internal/idempotency explains the protocol.
-- A repeated request finds its row by who sent it and the key.
create table idempotency_keys (
    namespace text not null,
    -- Who sent the request, in the form of audit.actor.
    actor text not null,
    -- A digest of the key. The key itself is not stored: it is the key of request_digest.
    key_digest bytea not null,
    -- A keyed digest of the method, the path, the query and the body of the request.
    request_digest bytea not null,
    -- The latest attempt to serve the request, by the id that its entries in the audit have
    -- (audit.request_id). It has a ~, which no id has that a client gives.
    request_id text not null,
    -- The instance that serves the attempt.
    instance_id uuid not null,
    begun_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    -- The answer. Null: there is none yet.
    status smallint,
    -- The header Location, the header ETag, and the body, by gzip if it is large. Null: the answer
    -- has none, or it is not kept.
    location text,
    etag text,
    body bytea,

    primary key (namespace, actor, key_digest),
    constraint idempotency_keys_digests check (length(key_digest) = 32 and length(request_digest) = 32),
    constraint idempotency_keys_attempt check (strpos(request_id, '~') > 0),
    constraint idempotency_keys_answer check (status is not null or num_nonnulls(location, etag, body) = 0)
);

-- A change that is made for an attempt locks its row by this key, and whoever takes the request
-- over changes it. So it has to be a whole index: PostgreSQL then makes the one wait for the other.
create unique index idempotency_keys_attempts on idempotency_keys (request_id);
create index idempotency_keys_oldest on idempotency_keys (created_at);

-- For the entries of the requests that have such a key, and of no others.
create index audit_by_attempt on audit (request_id) where strpos(request_id, '~') > 0;

-- migrate:down

drop index audit_by_attempt;
drop table idempotency_keys;
drop table instances;
