-- The keys that sign tokens for receivers. They belong to the service, not to a namespace.

-- name: ListTokenKeys :many
-- All keys, the newest first: a handful.
select sqlc.embed(k), clock_timestamp()::timestamptz as read_at
from token_keys k
order by k.created_at desc, k.id desc;

-- name: CreateTokenKey :exec
-- Stores a key and forgets those that another one has replaced some time ago. Two instances may
-- store one each at the same time: then there are two, and all instances agree on which one signs.
with forgotten as (
    delete from token_keys k
    where exists (select from token_keys n where n.created_at > k.created_at and n.created_at < now() - @keep_for::interval)
)
insert into token_keys (id, sealed_key, secrets_key_id, public_key) values (@id, @sealed_key, @secrets_key_id, @public_key);

-- name: ListSealedTokenKeys :many
-- ListSealedUnderOtherKeys for the keys that sign tokens.
select id, sealed_key, secrets_key_id
from token_keys
where secrets_key_id <> @key_id::text and id > @after
order by id
limit @max_rows;

-- name: ResealTokenKey :execrows
-- Replaces a sealed key by the same key under another one.
update token_keys
set sealed_key = @resealed, secrets_key_id = @key_id::text
where id = @id and sealed_key = @sealed::bytea;
