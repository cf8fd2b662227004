-- Requests that have an Idempotency-Key. internal/idempotency explains the protocol.

-- name: CommitAsynchronously :exec
-- Lets the transaction commit before its rows are on disk.
select set_config('synchronous_commit', 'off', true);

-- name: BeginIdempotent :execrows
-- Takes a key for a request that is about to be served. Of several that do this at once, one does,
-- because of the primary key. Zero rows: the key was taken before.
--
-- It need not wait until the row is on disk (CommitAsynchronously). What the request changes is
-- written to the log later, and the commit of that waits for all of the log before it: no change is
-- there without the row.
insert into idempotency_keys (namespace, actor, key_digest, request_digest, request_id, instance_id)
values (@namespace, @actor, @key_digest, @request_digest, @request_id, @instance_id)
on conflict (namespace, actor, key_digest) do nothing;

-- name: GetIdempotent :one
-- The request that has taken a key. is_over: it is not to be remembered any more. is_left: nobody
-- serves it any more, because its instance is gone or it takes longer than a request may.
select k.request_digest, k.request_id, k.status, k.location, k.etag, k.body,
    (k.created_at <= now() - @kept_for::interval)::boolean as is_over,
    (
        k.status is null and (
            k.begun_at <= now() - @served_within::interval
            or not exists (select from instances i where i.id = k.instance_id and i.expires_at > now())
        )
    )::boolean as is_left
from idempotency_keys k
where k.namespace = @namespace and k.actor = @actor and k.key_digest = @key_digest;

-- name: LockIdempotent :one
-- Waits for the transactions that make changes for the attempt of a row: each holds a lock of the
-- row (AddToAudit). From then on none of them can begin, and what they have changed is seen. Zero
-- rows: it is another attempt by now.
select k.request_id
from idempotency_keys k
where k.namespace = @namespace and k.request_id = @request_id and k.status is null
for update;

-- name: ListAttempt :many
-- What an attempt has changed. Only the service makes the ids of attempts, so it finds what that
-- request did and nothing else. The entries about a new namespace are in that namespace.
select a.namespace, a.operation, a.resource_type, a.resource_id, a.result
from audit a
where a.request_id = @request_id::text and strpos(a.request_id, '~') > 0
order by a.at, a.id
limit @max_rows;

-- name: TakeIdempotent :execrows
-- Gives a key to another attempt. The caller holds LockIdempotent, or the attempt before has ended
-- and has changed nothing, or the key is remembered no more, and then it is another request, which
-- is first sent now. @age is how long ago it was first sent at most.
update idempotency_keys
set request_id = @next_request_id, instance_id = @instance_id, begun_at = now(), request_digest = @request_digest,
    created_at = greatest(created_at, now() - @age::interval),
    status = null, location = null, etag = null, body = null
where namespace = @namespace and request_id = @request_id;

-- name: StoreAnswer :execrows
-- Stores the answer of an attempt, unless another attempt has taken its place. It does not wait
-- until the answer is on disk, as BeginIdempotent: one that is lost is made of the audit.
with asynchronous as materialized (
    select set_config('synchronous_commit', 'off', true)
)
update idempotency_keys k
set status = @status, location = @location, etag = @etag, body = @body
from asynchronous
where k.namespace = @namespace and k.request_id = @request_id and k.status is null;

-- name: LeaveIdempotent :exec
-- Says that nobody serves an attempt any more. The caller holds LockIdempotent.
update idempotency_keys
set instance_id = '00000000-0000-0000-0000-000000000000'
where namespace = @namespace and request_id = @request_id;

-- name: ForgetIdempotent :exec
-- Forgets a request that has changed nothing. The caller holds LockIdempotent.
delete from idempotency_keys
where namespace = @namespace and request_id = @request_id;

-- name: PurgeIdempotent :execrows
-- Deletes the oldest rows that are not to be remembered any more, up to @max_rows. Two sessions
-- that do this at once delete each row once. A row that is in use is left for the next pass.
delete from idempotency_keys
where request_id in (
    select k.request_id
    from idempotency_keys k
    where k.created_at <= now() - @kept_for::interval
    order by k.created_at
    limit @max_rows
    for update skip locked
);

-- name: ListCreated :many
-- The jobs that createJobs has created, as they are now, deleted ones too, in the order of their
-- ids, which is that of the request. Which job is due when may change at once.
select j.id, j.key, coalesce(d.scheduled_for, j.last_run_at, j.created_at)::timestamptz as next_run_at,
    (j.on_demand or j.starts_on is not null)::boolean as has_no_schedule
from jobs j
left join due d on d.job_id = j.id and d.carries_schedule
where j.namespace = @namespace and j.id = any(@ids::uuid[])
order by j.id;
