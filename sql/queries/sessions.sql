-- The sessions of the dashboard.

-- name: FindSession :one
-- Reads a session that has not expired. Whoever knows the id without the token cannot open it.
select sealed
from sessions
where id = @id
    and expires_at > now()
    and sealed <> '';

-- name: SaveSession :exec
-- Stores a session, or replaces it, unless it was ended meanwhile. Of two requests of one session
-- that do this at once, the later one counts. The expiry comes as a duration, because only the
-- database's time counts.
insert into sessions (id, sealed, expires_at)
values (@id, @sealed, now() + @duration::interval)
on conflict (id) do update
set sealed = excluded.sealed, expires_at = excluded.expires_at
where sessions.sealed <> '';

-- name: EndSession :exec
-- Ends a session, whether it exists or not. Its row stays without data until it expires, so that a
-- request that is about to store the session does not bring it back.
update sessions
set sealed = ''
where id = @id;

-- name: PurgeSessions :execrows
-- Deletes sessions that have expired, a batch at a time. Several instances may do it at once: they
-- leave each other's rows out.
delete from sessions
where id in (
    select id
    from sessions
    where expires_at <= now()
    order by expires_at
    limit @max_rows
    for update skip locked
);
