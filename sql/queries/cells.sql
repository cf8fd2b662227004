-- The cells: schemas with the same tables, each for the rows of some namespaces. Statements are the
-- same in all cells: the search path of a session, or of a transaction, says which one it means.

-- name: CurrentCell :one
-- The schema that the statements of this session mean.
select coalesce(current_schema(), '')::text;

-- name: UseCell :exec
-- Makes the statements mean another schema until the end of the transaction.
select set_config('search_path', quote_ident(@cell::text), true);

-- name: ListCells :many
-- The cells besides the first one, by name. There are few.
select name
from cells
order by name;

-- name: CreateCellSchema :exec
-- Creates the schema of a cell, unless it exists.
select create_cell_schema(@cell::text);

-- name: IsSchema :one
-- Whether there is a schema.
select exists (select from pg_catalog.pg_namespace n where n.nspname = @schema::text);

-- name: IsForeign :one
-- Whether a schema has tables, and they are not those of a cell.
select (count(*) > 0 and count(*) filter (where c.relname = 'schema_migrations') = 0)::boolean
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = @schema::text;

-- name: SchemaOfTrigrams :one
-- The schema that has the operators of pg_trgm, which the migrations of a cell use.
select n.nspname::text
from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace
where e.extname = 'pg_trgm';

-- name: AddCell :execrows
-- Stores that there is a cell. Zero rows: there was one already.
insert into cells (name)
values (@cell)
on conflict (name) do nothing;

-- name: LeaveDefaultNamespace :exec
-- Deletes the namespace that the migrations create in each cell, from a cell in which it is not.
delete from namespaces
where name = 'default';

-- name: FindPlacement :one
-- The cell of a namespace. It returns no row if that is the first one.
select cell
from placements
where namespace = @namespace;

-- name: Place :execrows
-- Stores that a new namespace is in a cell. Zero rows: there is a namespace of this name in another
-- cell. Two sessions that do this at once wait for each other.
insert into placements (namespace, cell)
values (@namespace, @cell)
on conflict (namespace) do nothing;

-- name: PlaceAnew :exec
-- Stores that a namespace is in another cell now.
insert into placements (namespace, cell)
values (@namespace, @cell)
on conflict (namespace) do update set cell = excluded.cell;

-- name: LockPlacement :one
-- The cell of a namespace, which cannot be moved until the end of the transaction. No row: it is in
-- the first one, or there is none.
select cell
from placements
where namespace = @namespace
for update;

-- name: Unplace :exec
-- Forgets where a namespace was that is gone.
delete from placements
where namespace = @namespace;

-- name: DeleteKeysOf :exec
-- Deletes the keys of a namespace that is gone. They are revoked already.
delete from keys
where namespace = @namespace::text;

-- name: ListPlacements :many
-- In which cells namespaces are, by name, after a name.
select *
from placements
where namespace > @after
order by namespace
limit @max_rows;

-- name: MeasureCells :many
-- How many jobs each cell has, as PostgreSQL estimates it, and how many namespaces.
with placed as materialized (
    -- Citus reads them apart from the catalog, which is that of the coordinator.
    select p.cell, count(*) as placements
    from placements p
    group by p.cell
)
select n.nspname::text as cell, greatest(c.reltuples, 0)::bigint as jobs, coalesce(p.placements, 0)::bigint as placements
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join placed p on p.cell = case when n.nspname = current_schema() then '' else n.nspname end
where c.relname = 'jobs' and n.nspname = any(@cells::text[])
order by n.nspname;

-- name: LockMove :one
-- Whether this session is the one that moves a namespace from now on. It is until it ends, so
-- nobody takes it for alive that is dead.
select pg_try_advisory_lock(hashtextextended('punctual move ' || @namespace::text, 0))::boolean;

-- name: LockAbandonedMove :one
-- Whether nobody moves a namespace, nor does until the end of the transaction.
select pg_try_advisory_xact_lock(hashtextextended('punctual move ' || @namespace::text, 0))::boolean;

-- name: BeginMove :execrows
-- Makes nothing of a namespace be changed, and no run of it start. The caller holds LockMove. Zero
-- rows: there is no such namespace.
update namespaces
set moving_since = least(moving_since, now())
where name = @namespace and deleted_at is null;

-- name: EndMove :execrows
-- Lets a namespace go on that was to be moved, or has been.
update namespaces
set moving_since = null
where name = @namespace and moving_since is not null;

-- name: ListMoving :many
-- The namespaces of a cell that are being moved, by name.
select name
from namespaces
where moving_since is not null
order by name;

-- name: ListUsersOfNamespaces :many
-- The transactions that have read namespaces, and so may go by what was before BeginMove: a
-- statement locks its tables before it takes its snapshot.
select distinct l.virtualtransaction::text
from pg_catalog.pg_locks l
where l.locktype = 'relation' and l.relation = 'namespaces'::regclass and l.granted and l.pid <> pg_backend_pid()
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  and l.virtualtransaction is not null;

-- name: HaveEnded :one
-- Whether all of these transactions have ended.
select not exists (
    select
    from pg_catalog.pg_locks l
    where l.locktype = 'virtualxid' and l.virtualxid = any(@transactions::text[])
);

-- name: LimitLockWait :exec
-- Bounds how long a statement of this transaction waits for a lock. It then fails.
select set_config('lock_timeout', @milliseconds::text, true);

-- name: CountHeld :one
-- How many runs of a namespace instances and workers hold.
select count(*)
from jobs j
join due d on d.job_id = j.id
where j.namespace = @namespace and d.lease_id is not null;

-- name: LockMoving :one
-- Locks a namespace that is being moved, with its jobs and their runs, and returns how many of
-- these are held. It waits for those who change them at this moment. No row: it may not be moved
-- any more.
with moving as (
    -- The namespace.
    select n.name
    from namespaces n
    where n.name = @namespace and n.moving_since is not null
    for update
), locked_jobs as (
    -- Its jobs, in one order.
    select j.id
    from jobs j
    where j.namespace = @namespace and exists (select from moving)
    order by j.id
    for update
), locked_due as (
    -- Their runs, after them.
    select d.lease_id
    from due d
    where d.job_id = any(array(select id from locked_jobs))
    order by d.job_id, d.scheduled_for
    for update
)
select count(l.lease_id)::bigint as held
from moving m
left join locked_due l on true
group by m.name;

-- name: ListRunsDays :many
-- The days (UTC) for which there is a partition of runs, in order.
select d.day::date as day
from runs_partitions p
cross join lateral generate_series(p.first_day::timestamp, p.last_day::timestamp, interval '1 day') as d(day)
order by d.day;

-- name: MoveNamespace :one
-- Moves all rows of a namespace from one cell to another, and returns how many jobs it has. The
-- caller holds LockMoving.
select move_namespace(@namespace, @from_cell, @to_cell)::bigint as jobs;
