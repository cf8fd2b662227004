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

-- name: RenewLeaseAndInstance :one
-- RenewLease and RenewInstance as one statement, because an idle instance should send few. It
-- returns whether the instance has its row, or no row if the lease is lost.
with alive as (
    update instances i
    set expires_at = now() + @instance_duration::interval, executing = @executing, asked_queues = @asked_queues, asking = @asking
    where i.id = @instance_id
    returning i.id
)
update leases l
set expires_at = now() + @duration::interval
where l.id = @id and l.expires_at > now()
returning exists (select from alive) as has_row;

-- name: ExpireLease :exec
-- Ends a lease at once. FreeAbandoned then frees what was held under it.
update leases
set expires_at = now()
where id = @id;
