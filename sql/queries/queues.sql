-- The statements for workers: they lease rows of due by the queue. docs/performance.md, "Plans",
-- explains their shape.

-- name: NextQueued :many
-- For each of some queues, when the next row becomes ready that nobody holds; a day from now if
-- there is none. Reads one entry of the index for each.
select q.queue::text as queue,
    coalesce((
        select d.ready_at
        from due d
        where d.queue = q.queue and d.awaits_worker and d.lease_id is null
        order by d.ready_at
        limit 1
    ), now() + interval '1 day')::timestamptz as ready_at,
    clock_timestamp()::timestamptz as read_at
from (select unnest(@queues::text[]) as queue) q;

-- name: ClaimQueued :many
-- Like Claim, for the workers that wait at some queues. @lease_ids has one entry for each run that
-- one of them would take, in their order. Of each queue, @counts entries belong to it, after the
-- first @befores. Its first row that is ready goes to the first of them, and so on.
--
-- Safe under concurrency like Claim. GrantLeases creates the leases in the same transaction, so no
-- run is ever held under a lease that does not exist.
with asked as (
    select
        unnest((select @queues::text[])) as queue,
        unnest((select @counts::integer[])) as runs,
        unnest((select @befores::integer[])) as before
), candidate as materialized (
    -- The rows to claim, locked.
    select a.before, r.job_id, r.scheduled_for, r.ready_at
    from asked a
    cross join lateral (
        select d.job_id, d.scheduled_for, d.ready_at
        from due d
        where d.queue = a.queue
          and d.awaits_worker
          and d.ready_at <= now()
          and d.lease_id is null
        order by d.ready_at
        limit a.runs
        for update of d skip locked
    ) r
), numbered as (
    -- The same with the number of their entry.
    select job_id, scheduled_for, before + row_number() over (partition by before order by ready_at)::integer as n
    from candidate
), claimed as (
    -- The rows as they are once they are claimed.
    update due d
    set lease_id = (@lease_ids::uuid[])[c.n], token = @token, attempt = d.attempt + 1,
        started_at = least(d.started_at, now())
    from (
        select
            unnest(array(select job_id from numbered order by n)) as job_id,
            unnest(array(select scheduled_for from numbered order by n)) as scheduled_for,
            unnest(array(select n from numbered order by n)) as n
    ) c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    returning d.*
)
select sqlc.embed(claimed), sqlc.embed(j), clock_timestamp()::timestamptz as read_at, now()::timestamptz as leased_at
from claimed
join jobs j on j.id = claimed.job_id;

-- name: GrantLeases :exec
-- Creates the leases under which ClaimQueued has claimed runs, with the runs that each holds: one
-- entry for each run.
insert into leases (id, holder, expires_at, queue, duration, job_ids, scheduled_fors, job_versions)
select r.lease_id, min(r.holder), now() + min(r.duration), min(r.queue), min(r.duration), array_agg(r.job_id), array_agg(r.scheduled_for),
    case when max(r.job_version) > 1 then array_agg(r.job_version) end
from (
    select
        unnest((select @lease_ids::uuid[])) as lease_id,
        unnest((select @holders::text[])) as holder,
        unnest((select @durations::interval[])) as duration,
        unnest((select @queues::text[])) as queue,
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @job_versions::integer[])) as job_version
) r
group by r.lease_id;

-- name: ListLeased :many
-- The runs of reports that workers hold, each by its id (the last eight bytes lead to the job) and
-- the token of its claim, with the number of the report, the queue that it was leased from, and how
-- many runs were leased with it. The attempt began when it was leased.
select r.number::integer as number, sqlc.embed(claimed), sqlc.embed(j), clock_timestamp()::timestamptz as read_at,
    l.created_at::timestamptz as leased_at, l.holder::text as holder, l.queue::text as queue,
    cardinality(l.job_ids)::integer as lease_size,
    coalesce(l.job_versions[array_position(l.job_ids, claimed.job_id)], 1)::integer as leased_version
from (
    select
        unnest((select @numbers::integer[])) as number,
        unnest((select @namespaces::text[])) as namespace,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @job_tails::bytea[])) as job_tail,
        unnest((select @tokens::bigint[])) as token
) r
join jobs j on substring(uuid_send(j.id) from 9) = r.job_tail and j.namespace = r.namespace
join due claimed on claimed.job_id = j.id and claimed.scheduled_for = r.scheduled_for and claimed.token = r.token
join leases l on l.id = claimed.lease_id
where claimed.awaits_worker;

-- name: ListOverdue :many
-- The runs that workers hold and whose attempt takes longer than its deadline. Reads only what
-- workers hold, and nothing that waits.
select 0::integer as number, sqlc.embed(claimed), sqlc.embed(j), clock_timestamp()::timestamptz as read_at,
    h.created_at::timestamptz as leased_at, h.holder::text as holder, h.queue::text as queue, 0::integer as lease_size,
    coalesce(h.job_version, 1)::integer as leased_version
from (
    select id as lease_id, created_at, holder, queue, unnest(job_versions) as job_version, unnest(job_ids) as job_id, unnest(scheduled_fors) as scheduled_for
    from leases
    where job_ids is not null
) h
join due claimed on claimed.job_id = h.job_id and claimed.scheduled_for = h.scheduled_for and claimed.lease_id = h.lease_id
join jobs j on j.id = claimed.job_id
where h.created_at + make_interval(secs => j.attempt_deadline_seconds) <= now();

-- name: ListUnserved :many
-- The queues in which a run has waited for longer than @waited while no worker holds any run of the
-- queue, and since when. Reads one entry of the index for each queue. Those of connections and
-- concurrency groups are not for workers.
with recursive queue as (
    -- The first row of each queue, from one queue to the next. The queues of connections and groups
    -- of a namespace follow each other: behind the first of them, all of them are skipped.
    (
        select d.queue, d.ready_at
        from due d
        where d.awaits_worker
        order by d.queue, d.ready_at
        limit 1
    )
    union all
    select n.queue, n.ready_at
    from queue q
    cross join lateral (
        select d.queue, d.ready_at
        from due d
        where d.awaits_worker and d.queue > queue_before_next(q.queue)
        order by d.queue, d.ready_at
        limit 1
    ) n
)
select q.queue::text as queue, q.ready_at::timestamptz as ready_at
from queue q
where q.ready_at < now() - @waited::interval
  and strpos(q.queue, '/=') = 0
  and not exists (select from leases l where l.queue = q.queue);

-- name: Release :execrows
-- Puts a run back that a worker holds, as if it had not been claimed, to wait where its job is
-- executed now. It is ready from now on: its scheduled_for no longer shows that it was on time
-- once. Safe under concurrency: guarded by the token, and the job is locked before it is read, so
-- an edit in progress is seen.
with job as (
    select j.id, j.first_queue, j.qualified_group, j.max_attempts
    from jobs j
    where j.id = @job_id
    for share
)
update due d
set lease_id = null, attempt = d.attempt - 1, started_at = case when d.attempt > 1 then d.started_at end,
    ready_at = greatest(now(), d.ready_at), queue = j.first_queue, concurrency_group = j.qualified_group,
    awaits_worker = awaits_worker(j.first_queue, d.cancel_reason, (d.attempt - 1)::smallint, j.max_attempts)
from job j
where j.id = d.job_id
  and d.job_id = @job_id and d.scheduled_for = @scheduled_for and d.token = @token and d.lease_id is not null;

-- name: RenewWorkerLease :one
-- Like RenewLease, for as long as the worker asked for. With @queues, only a lease of these.
update leases
set expires_at = later(now(), duration)
where id = @id and starts_with(queue, @namespace::text || '/') and expires_at > now()
  and (sqlc.narg(queues)::text[] is null or queue = any(sqlc.narg(queues)))
returning expires_at;

-- name: ListCanceledOfWorker :many
-- The canceled runs under a worker's lease.
select d.job_id, d.scheduled_for
from (
    select id as lease_id, unnest(job_ids) as job_id, unnest(scheduled_fors) as scheduled_for
    from leases
    where id = @id
) h
join due d on d.job_id = h.job_id and d.scheduled_for = h.scheduled_for and d.lease_id = h.lease_id
where d.cancel_reason is not null;

-- name: ForgetLeases :exec
-- Deletes the leases of workers that the caller knows to be empty (@empty_ids), and those of @ids
-- under which nothing is held any more. One that is not deleted expires: if two of these statements
-- deadlock, PostgreSQL ends one.
delete from leases l
where l.id = any(@ids::uuid[])
  and (
      l.id = any(@empty_ids::uuid[])
      or not exists (
          select
          from due d
          where d.job_id = any(l.job_ids) and d.scheduled_for = any(l.scheduled_fors) and d.lease_id = l.id
      )
  );

-- name: ListQueues :many
-- The queues after one (@after) and before the end of the namespace (@before), by name: those of
-- the rows of due that await a worker, those of the leases of workers, and those that workers ask
-- for. It reads one entry of the index of due for each of these queues, and up to @max_count rows
-- of each queue on the page to count them, whatever else waits. It is a single snapshot.
with recursive filled as (
    -- The queues with rows of due, from one to the next.
    (
        select d.queue, (strpos(d.queue, '/=') = 0)::integer as n
        from due d
        where d.awaits_worker and d.queue > @after::text and d.queue < @before::text
        order by d.queue
        limit 1
    )
    union all
    select q.queue, f.n + (strpos(q.queue, '/=') = 0)::integer
    from filled f
    cross join lateral (
        select d.queue
        from due d
        where d.awaits_worker and d.queue > queue_before_next(f.queue) and d.queue < @before::text
        order by d.queue
        limit 1
    ) q
    where f.n < @max_rows::integer
), asked as (
    -- How many requests of workers wait.
    select a.queue, sum(a.workers) as workers
    from (
        select unnest(i.asked_queues) as queue, unnest(i.asking) as workers
        from instances i
        where i.expires_at > now()
    ) a
    where a.queue > @after::text and a.queue < @before::text
    group by a.queue
), page as (
    -- The queues of the page.
    select u.queue
    from (
        select queue from filled where strpos(queue, '/=') = 0
        union
        select queue from leases where queue > @after::text and queue < @before::text
        union
        select queue from asked
    ) u
    order by u.queue
    limit @max_rows
), held as (
    -- How many runs of them workers hold. A lease lists what it held at first.
    select l.queue, count(*) as runs
    from (
        select w.id, w.queue, unnest(w.job_ids) as job_id, unnest(w.scheduled_fors) as scheduled_for
        from page p
        join leases w on w.queue = p.queue
    ) l
    where (
        -- Not "exists", which could become a join that reads all of due.
        select d.lease_id
        from due d
        where d.job_id = l.job_id and d.scheduled_for = l.scheduled_for
    ) = l.id
    group by l.queue
)
select p.queue::text as queue, coalesce(h.runs, 0)::integer as leased, coalesce(a.workers, 0)::integer as asking,
    (
        select count(*)
        from (
            select
            from due d
            where d.queue = p.queue and d.awaits_worker and d.ready_at <= now() and d.lease_id is null
            limit @max_count
        ) c
    )::integer as waiting,
    coalesce(o.ready_at, now())::timestamptz as oldest_ready_at
from page p
left join held h on h.queue = p.queue
left join asked a on a.queue = p.queue
left join lateral (
    select d.ready_at
    from due d
    where d.queue = p.queue and d.awaits_worker and d.ready_at <= now() and d.lease_id is null
    order by d.ready_at
    limit 1
) o on true
order by p.queue;
