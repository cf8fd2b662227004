-- Only sqlc reads this file. It makes the types of gen/db fit what the queries return.

-- PostgreSQL gives every table this column.
alter table due add column ctid tid;
alter table run_stats add column ctid tid;

-- The rows of due that a claim returns. The queries name their common table expression so: they
-- return all columns of due, of which these are not null in a row that is held.
create table claimed (like due);
alter table claimed alter column lease_id set not null;
alter table claimed alter column started_at set not null;

-- The view's columns, with which of them may be null.
drop view open_runs;
create table open_runs (
    job_id uuid not null,
    scheduled_for timestamptz not null,
    status text not null,
    trigger run_trigger not null,
    retry_of timestamptz,
    attempt smallint not null,
    started_at timestamptz,
    failed_attempts jsonb,
    executed_by text,
    cancel_requested_at timestamptz,
    ready_at timestamptz not null,
    awaits_worker boolean not null,
    payload json,
    caused_by uuid,
    waiting_for text
);
