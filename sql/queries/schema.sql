-- name: SchemaVersion :one
-- Returns the newest applied migration, or an empty text if there is none.
select coalesce(max(version), '')::text
from schema_migrations;

-- name: CheckTables :exec
-- Fails on a server that accepts no changes, and waits while somebody has locked one of the tables.
-- It reads no row. The partitions of runs are left out, because it would lock all of them.
select
from jobs, due, leases
limit 0
for update;

-- name: LockMigrations :exec
-- Makes instances that start together migrate one after the other. The session holds the lock until
-- it ends.
select pg_advisory_lock(hashtextextended('punctual migrations', 0));
