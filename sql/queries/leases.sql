-- name: CreateLease :exec
-- A new id for each start of an instance: nobody else has it.
insert into leases (id, holder, expires_at)
values (@id, @holder, now() + @duration::interval);

-- name: RenewLease :execrows
-- A lease that has run out stays so, whoever asks: its runs may be somebody else's already. Zero rows: it is lost.
update leases
set expires_at = now() + @duration::interval
where id = @id and expires_at > now();

-- name: DeleteLease :exec
-- What was still held under it becomes anybody's.
delete from leases
where id = @id;
