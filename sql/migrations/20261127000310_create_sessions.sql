-- migrate:up

-- Who is signed in to the dashboard. Nothing in a row opens it: the browser has the token, of which
-- the id is the SHA-256, and from which the key is derived that seals the data.
create table sessions (
    id bytea primary key,
    sealed bytea not null,
    expires_at timestamptz not null,

    constraint sessions_id check (length(id) = 32)
);

create index sessions_by_expiry on sessions (expires_at);

-- migrate:down

drop table sessions;
