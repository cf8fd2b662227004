-- What events start. internal/events writes it in the transaction of what happened; internal/jobs
-- makes runs of it. The table event_starts is empty most of the time, and has many rows in a storm,
-- so the statements that look for rows in it are planned for each execution (database.PlanEach).

-- name: ListStartsOn :many
-- The jobs that events start, and of which: an instance keeps them in memory. It reads an index of
-- these jobs only. Which of them may run now, whoever makes the run finds out under its lock.
select id, namespace, starts_on
from jobs
where starts_on is not null and deleted_at is null and status <> 'COMPLETED';

-- name: AddEventStarts :exec
-- Notes which jobs events start. It belongs to the transaction of what happened, and waits for
-- nobody. An event that is collected with others joins those of its job whose time is not up yet.
-- That ends a second after the time to collect, so that what began within it is committed by then.
-- Two transactions that both see no others begin both, and whoever makes the run takes both. An
-- array holds no nulls: the id of zeros stands for none.
with started as (
    -- The starts, with their places, so that they are stored as they happened.
    select b.*, row_number() over () as place
    from (
        select
            unnest((select @job_ids::uuid[])) as job_id,
            unnest((select @namespaces::text[])) as namespace,
            unnest((select @group_seconds::integer[])) as group_seconds,
            unnest((select @events::text[])) as event,
            unnest((select @caused_bys::uuid[])) as caused_by,
            unnest((select @event_depths::smallint[])) as event_depth
    ) b
), collecting as (
    -- The jobs that collect events, each looked up once, with the time of those that there are.
    select g.job_id,
        (
            select min(o.ready_at)
            from event_starts o
            where o.job_id = g.job_id and o.ready_at > now() + interval '1 second'
        ) as ready_at
    from (select distinct s.job_id from started s where s.group_seconds > 0) g
)
insert into event_starts (job_id, namespace, ready_at, event, caused_by, event_depth)
select s.job_id, s.namespace,
    case when s.group_seconds = 0 then now() else coalesce(c.ready_at, now() + make_interval(secs => s.group_seconds + 1)) end,
    s.event::json, nullif(s.caused_by, '00000000-0000-0000-0000-000000000000'), s.event_depth
from started s
left join collecting c on c.job_id = s.job_id
order by s.place;

-- name: ListStarted :many
-- The jobs that events have started, without those that failed, each with when its first run is to
-- be made. It looks up one row for each job, however many events there are. Whoever makes the runs
-- takes the events under the lock of the job, so several may look at once.
with recursive started as (
    (select s.job_id, s.namespace, s.ready_at from event_starts s order by s.job_id, s.ready_at limit 1)
    union all
    select n.job_id, n.namespace, n.ready_at
    from started s
    cross join lateral (
        select e.job_id, e.namespace, e.ready_at
        from event_starts e
        where e.job_id > s.job_id
        order by e.job_id, e.ready_at
        limit 1
    ) n
)
select s.job_id::uuid as job_id, s.namespace::text as namespace, coalesce(n.suspended_at is not null, false)::boolean as is_suspended,
    least(s.ready_at - clock_timestamp(), interval '1 day')::interval as ready_in
from started s
left join namespaces n on n.name = s.namespace
where s.job_id <> all(@failed::uuid[]);

-- name: TakeEventStarts :many
-- Takes the first events that start a job, for runs to be made of them in the same transaction. The
-- caller holds LockJob, so nobody else takes them.
delete from event_starts s
where s.id = any(array(
    select w.id
    from event_starts w
    where w.job_id = @job_id and w.ready_at <= now()
    order by w.ready_at, w.happened_at, w.id
    limit @max_rows
))
returning s.id, s.happened_at, s.event, s.caused_by, s.event_depth;

-- name: TakeEventGroup :one
-- Takes the events that start a job together, for one run. The caller holds LockJob. It takes the
-- ones whose time is up, or is within a second: see AddEventStarts. It counts all and returns the
-- first of them, no more than 100 and no more than @max_bytes of them. The depth is the smallest,
-- so that one event at the end of a chain does not keep the others from being told.
with taken as (
    delete from event_starts s
    where s.job_id = @job_id and s.ready_at <= now() + interval '1 second'
    returning s.id, s.happened_at, s.event, s.caused_by, s.event_depth
), placed as (
    select t.event, t.caused_by, t.event_depth,
        row_number() over (order by t.happened_at, t.id) as place,
        sum(octet_length(t.event::text)) over (order by t.happened_at, t.id) as bytes
    from taken t
)
select count(*) as count, coalesce(min(p.event_depth), 0)::smallint as event_depth,
    coalesce((array_agg(p.caused_by order by p.place))[1], '00000000-0000-0000-0000-000000000000')::uuid as caused_by,
    array(select l.event::text from placed l where l.place = 1 or (l.place <= 100 and l.bytes <= @max_bytes::bigint) order by l.place)::text[] as events
from placed p;

-- name: DropEventStarts :exec
-- Forgets the events that would have started a job that is deleted or completed, or that no event
-- starts any more. Such a job never comes back, or somebody has decided it.
delete from event_starts where job_id = @job_id;

-- name: CountOpen :one
-- Counts the runs of a job that have not ended. The caller holds LockJob, for which their
-- completions wait.
select (count(*) + count(buffered_for))::bigint from due where job_id = @job_id;

-- name: ListDueInstants :many
-- Returns the instants of a job, from one to another, that rows of due have. The caller holds
-- LockJob, so nobody starts a run of the job meanwhile.
select d.scheduled_for
from due d
where d.job_id = @job_id and d.scheduled_for between @earliest::timestamptz and @latest::timestamptz
union all
select d.buffered_for
from due d
where d.job_id = @job_id and d.buffered_for between @earliest::timestamptz and @latest::timestamptz;

-- name: StartRuns :exec
-- Adds runs that events start and that may overlap. The caller holds LockJob and has chosen
-- instants that no row has. It waits for none of the rows that there are.
insert into due (
    job_id, scheduled_for, ready_at, carries_schedule, trigger, payload, caused_by, event_depth, concurrency_group, queue, awaits_worker
)
select
    @job_id, s.scheduled_for, s.scheduled_for, false, 'EVENT', s.payload::json,
    nullif(s.caused_by, '00000000-0000-0000-0000-000000000000'), s.event_depth, sqlc.narg(concurrency_group), sqlc.narg(queue),
    sqlc.narg(queue)::text is not null
from (
    select
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @payloads::text[])) as payload,
        unnest((select @caused_bys::uuid[])) as caused_by,
        unnest((select @event_depths::smallint[])) as event_depth
) s;

-- name: SkipRuns :exec
-- Records runs that events would have started. The caller holds LockJob and has chosen instants
-- that no row has.
insert into runs (
    job_id, scheduled_for, trigger, payload, caused_by, finished_at, status, reason, status_reason, attempt, occurrences
)
select
    @job_id, s.scheduled_for, 'EVENT', s.payload::json, nullif(s.caused_by, '00000000-0000-0000-0000-000000000000'),
    clock_timestamp(), 'SKIPPED', s.reason::run_reason,
    case when s.reason = 'JOB_PAUSED' then sqlc.narg(status_reason)::text end, 0, 1
from (
    select
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @payloads::text[])) as payload,
        unnest((select @caused_bys::uuid[])) as caused_by,
        unnest((select @reasons::text[])) as reason
) s;

-- name: ListRunInstants :many
-- Returns the instants of a job, from one to another, that runs have which have ended. The two
-- bound the partitions to look at.
select r.scheduled_for
from runs r
where r.job_id = @job_id and r.scheduled_for between @earliest::timestamptz and @latest::timestamptz;
