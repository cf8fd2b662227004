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

-- name: ExpireLease :exec
-- Ends a lease at once. FreeAbandoned then frees what was held under it.
update leases
set expires_at = now()
where id = @id;
