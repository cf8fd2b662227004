-- The processes of the service.

-- name: RenewInstance :exec
-- Says that an instance is alive, and what it does at the moment. Only the instance itself writes
-- its row, so nobody waits for it.
insert into instances (id, name, version, roles, expires_at, executing, asked_queues, asking)
values (@id, @name, @version, @roles, now() + @duration::interval, @executing, @asked_queues, @asking)
on conflict (id) do update
set expires_at = excluded.expires_at, executing = excluded.executing, asked_queues = excluded.asked_queues, asking = excluded.asking;

-- name: ForgetInstance :exec
-- Deletes the row of an instance that stops.
delete from instances
where id = @id;

-- name: ForgetDeadInstances :execrows
-- Deletes the rows of instances that died an hour ago or earlier. One that was only slow writes its
-- row again. Two sessions that do this at once delete each row once.
delete from instances
where expires_at < now() - interval '1 hour';

-- name: ListInstances :many
-- The instances that are alive, oldest first. There are few, so it reads the whole table.
select *
from instances
where expires_at > now()
order by started_at, id;
