-- What events start. internal/events writes it in the transaction of what happened; internal/jobs
-- makes runs of it.

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
insert into event_starts (job_id, namespace, ready_at, event, caused_by, event_depth)
select s.job_id, s.namespace,
    case
        when s.group_seconds = 0 then now()
        else coalesce(
            (
                select min(o.ready_at)
                from event_starts o
                where o.job_id = s.job_id and o.ready_at > now() + interval '1 second'
            ),
            now() + make_interval(secs => s.group_seconds + 1)
        )
    end,
    s.event::json, nullif(s.caused_by, '00000000-0000-0000-0000-000000000000'), s.event_depth
from (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @namespaces::text[])) as namespace,
        unnest((select @group_seconds::integer[])) as group_seconds,
        unnest((select @events::text[])) as event,
        unnest((select @caused_bys::uuid[])) as caused_by,
        unnest((select @event_depths::smallint[])) as event_depth
) s;
