-- name: SchemaVersion :one
-- The newest applied migration. Empty where none is.
select coalesce(max(version), '')::text
from schema_migrations;

-- name: LockMigrations :exec
-- Makes instances that start together migrate one after the other. Held until the session ends.
select pg_advisory_lock(hashtextextended('punctual migrations', 0));
