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

-- name: MeasureReplica :one
-- By how many seconds this standby may be behind its primary: zero if it has replayed everything
-- that it has received, null if it does not know. Also for how long it has not heard of any
-- instance, which is negative as long as the row of one has not expired: so a standby is noticed
-- that receives nothing. And the newest migration that it has.
select
    pg_is_in_recovery()::boolean as is_standby,
    case
        when pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn()
            then coalesce(greatest(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), 0), 'infinity')
        else 0
    end::double precision as lag,
    (select coalesce(extract(epoch from clock_timestamp() - max(i.expires_at)), 'infinity') from instances i)::double precision as unheard,
    (select coalesce(max(m.version), '') from schema_migrations m)::text as version;
