-- name: CreateLease :exec
-- Takes a lease under a new id, which nobody else has.
insert into leases (id, holder, expires_at)
values (@id, @holder, now() + @duration::interval);

-- name: RenewLease :execrows
-- Extends a lease that has not run out. One that has stays so: its runs may already be claimed by
-- somebody else. Zero rows: it is lost.
update leases
set expires_at = now() + @duration::interval
where id = @id and expires_at > now();

-- name: RenewLeaseAndInstance :execrows
-- RenewLease and RenewInstance as one statement, because an idle instance should send few. The
-- instance is alive even if the lease is lost.
with alive as (
    insert into instances (id, name, version, roles, expires_at, executing, asked_queues, asking)
    values (@instance_id, @name, @version, @roles, now() + @instance_duration::interval, @executing, @asked_queues, @asking)
    on conflict (id) do update
    set expires_at = excluded.expires_at, executing = excluded.executing, asked_queues = excluded.asked_queues, asking = excluded.asking
)
update leases l
set expires_at = now() + @duration::interval
where l.id = @id and l.expires_at > now();

-- name: ExpireLease :exec
-- Ends a lease at once. FreeAbandoned then frees what was held under it.
update leases
set expires_at = now()
where id = @id;
