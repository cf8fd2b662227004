-- How many runs have ended, and how late and how long they were, by minutes and hours.

-- name: AddRunStats :exec
-- Adds what an instance has counted, as one row for each namespace, label, minute, trigger and type
-- of target. It leaves out namespaces that are deleted by now, in another cell, or on their way
-- there.
--
-- Safe under concurrency: instances add to the same rows, and lock them in the order of the key. It
-- is not safe to repeat: a repetition counts the same runs again.
with counted as (
    -- It reads the namespaces, because Citus sends no valid SQL for an insert whose own select
    -- reads a table (decision 8).
    select c.*
    from (
        select
            unnest((select @namespaces::text[])) as namespace,
            unnest((select @labels::text[])) as label,
            unnest((select @starts_ats::timestamptz[])) as starts_at,
            unnest((select @triggers::text[])) as trigger,
            unnest((select @target_types::text[])) as target_type,
            unnest((select @succeeded::bigint[])) as succeeded,
            unnest((select @failed::bigint[])) as failed,
            unnest((select @canceled::bigint[])) as canceled,
            unnest((select @skipped::bigint[])) as skipped,
            unnest((select @labels_left_out::bigint[])) as labels_left_out,
            unnest((select @max_latenesses::bigint[])) as max_lateness,
            unnest((select @latenesses::text[])) as lateness,
            unnest((select @durations::text[])) as duration
    ) c
    where exists (select from namespaces n where n.name = c.namespace and n.deleted_at is null and n.moving_since is null for key share)
)
insert into run_stats (
    namespace, label, starts_at, trigger, target_type, succeeded, failed, canceled, skipped, labels_left_out,
    max_lateness, lateness, duration
)
select c.namespace, c.label, c.starts_at, c.trigger::run_trigger, c.target_type, c.succeeded, c.failed, c.canceled, c.skipped,
    c.labels_left_out, c.max_lateness, c.lateness::bigint[], c.duration::bigint[]
from counted c
order by c.namespace, c.label, c.starts_at, c.trigger, c.target_type
on conflict (namespace, label, starts_at, is_hour, trigger, target_type) do update
set succeeded = run_stats.succeeded + excluded.succeeded, failed = run_stats.failed + excluded.failed,
    canceled = run_stats.canceled + excluded.canceled, skipped = run_stats.skipped + excluded.skipped,
    labels_left_out = run_stats.labels_left_out + excluded.labels_left_out,
    max_lateness = greatest(run_stats.max_lateness, excluded.max_lateness),
    lateness = run_stats.lateness || excluded.lateness, duration = run_stats.duration || excluded.duration;

-- name: ListRunStats :many
-- The minutes and hours of a namespace that begin from one instant on and before another, in the
-- order of time. The caller bounds the time.
select s.starts_at, s.succeeded, s.failed, s.canceled, s.skipped, s.max_lateness, s.lateness, s.duration
from run_stats s
where s.namespace = @namespace and s.label = @label and s.starts_at >= @since::timestamptz and s.starts_at < @before::timestamptz
  and (sqlc.narg(triggers)::text[] is null or s.trigger::text = any(sqlc.narg(triggers)))
  and (sqlc.narg(target_type)::text is null or s.target_type = sqlc.narg(target_type))
order by s.starts_at;

-- name: AreLabelsLeftOut :one
-- Whether a namespace had runs in this time of which not all labels were counted.
select exists (
    select
    from run_stats s
    where s.namespace = @namespace and s.label = '' and s.starts_at >= @since::timestamptz and s.starts_at < @before::timestamptz
      and s.labels_left_out > 0
);

-- name: TakeRunMinutes :one
-- Deletes some minutes of hours that are over for longer than @kept, and returns them for
-- AddRunHours, which belongs to the same transaction. Safe from many sessions at once: each takes
-- rows that no other has taken.
with old as (
    -- Some rows of minutes, locked.
    select s.ctid
    from run_stats s
    where not s.is_hour and s.starts_at < date_trunc('hour', now() - @kept::interval, 'UTC')
    order by s.starts_at
    limit @max_rows
    for update of s skip locked
), removed as (
    delete from run_stats s
    where s.ctid = any(array(select o.ctid from old o))
    returning s.namespace, s.label, s.starts_at, s.trigger, s.target_type, s.succeeded, s.failed, s.canceled, s.skipped, s.labels_left_out,
        s.max_lateness, s.lateness, s.duration
)
select count(*) as n, coalesce(json_agg(r), '[]')::json as minutes
from (
    -- The arrays as texts in the form of PostgreSQL, which it turns into arrays again.
    select r.namespace, r.label, r.starts_at, r.trigger, r.target_type, r.succeeded, r.failed, r.canceled, r.skipped, r.labels_left_out,
        r.max_lateness, r.lateness::text as lateness, r.duration::text as duration
    from removed r
) r;

-- name: AddRunHours :exec
-- Adds the minutes that TakeRunMinutes has returned to their hours, as AddRunStats does.
with minutes as (
    select m.minute ->> 'namespace' as namespace, m.minute ->> 'label' as label, (m.minute ->> 'starts_at')::timestamptz as starts_at,
        (m.minute ->> 'trigger')::run_trigger as trigger, m.minute ->> 'target_type' as target_type,
        (m.minute ->> 'succeeded')::bigint as succeeded, (m.minute ->> 'failed')::bigint as failed,
        (m.minute ->> 'canceled')::bigint as canceled, (m.minute ->> 'skipped')::bigint as skipped,
        (m.minute ->> 'labels_left_out')::bigint as labels_left_out, (m.minute ->> 'max_lateness')::bigint as max_lateness,
        (m.minute ->> 'lateness')::bigint[] as lateness, (m.minute ->> 'duration')::bigint[] as duration
    from (select jsonb_array_elements(@minutes::jsonb) as minute) m
), numbered as (
    -- Each row with the number of its hour: to group by numbers is cheaper.
    select r.namespace, r.label, date_trunc('hour', r.starts_at, 'UTC') as starts_at, r.trigger, r.target_type, r.succeeded, r.failed,
        r.canceled, r.skipped, r.labels_left_out, r.max_lateness, r.lateness, r.duration,
        dense_rank() over (
            order by r.namespace, r.label, date_trunc('hour', r.starts_at, 'UTC'), r.trigger, r.target_type
        ) as hour
    from minutes r
), hours as (
    select n.hour, n.namespace, n.label, n.starts_at, n.trigger, n.target_type,
        sum(n.succeeded)::bigint as succeeded, sum(n.failed)::bigint as failed, sum(n.canceled)::bigint as canceled,
        sum(n.skipped)::bigint as skipped, sum(n.labels_left_out)::bigint as labels_left_out, max(n.max_lateness) as max_lateness
    from numbered n
    group by 1, 2, 3, 4, 5, 6
), latenesses as (
    -- Each bucket once. No minute has as many runs as an integer cannot count.
    select b.hour, array_agg((b.bucket << 40) + b.n order by b.bucket) as counts
    from (
        select n.hour, e >> 40 as bucket, sum((e & 1099511627775)::integer) as n
        from numbered n, unnest(n.lateness) e
        group by 1, 2
    ) b
    group by 1
), durations as (
    select b.hour, array_agg((b.bucket << 40) + b.n order by b.bucket) as counts
    from (
        select n.hour, e >> 40 as bucket, sum((e & 1099511627775)::integer) as n
        from numbered n, unnest(n.duration) e
        group by 1, 2
    ) b
    group by 1
)
insert into run_stats (
    namespace, label, starts_at, is_hour, trigger, target_type, succeeded, failed, canceled, skipped, labels_left_out,
    max_lateness, lateness, duration
)
select h.namespace, h.label, h.starts_at, true, h.trigger, h.target_type, h.succeeded, h.failed, h.canceled, h.skipped,
    h.labels_left_out, h.max_lateness, coalesce(l.counts, '{}'), coalesce(d.counts, '{}')
from hours h
left join latenesses l using (hour)
left join durations d using (hour)
order by h.namespace, h.label, h.starts_at, h.trigger, h.target_type
on conflict (namespace, label, starts_at, is_hour, trigger, target_type) do update
set succeeded = run_stats.succeeded + excluded.succeeded, failed = run_stats.failed + excluded.failed,
    canceled = run_stats.canceled + excluded.canceled, skipped = run_stats.skipped + excluded.skipped,
    labels_left_out = run_stats.labels_left_out + excluded.labels_left_out,
    max_lateness = greatest(run_stats.max_lateness, excluded.max_lateness),
    lateness = run_stats.lateness || excluded.lateness, duration = run_stats.duration || excluded.duration;

-- name: PurgeRunStats :execrows
-- Deletes some hours that are older than runs are kept: @days, or fewer in their namespace. 0 is
-- for ever. A row that somebody adds to meanwhile is left to the next call.
delete from run_stats s
where s.ctid = any(array(
    select h.ctid
    from namespaces n
    cross join lateral (
        select r.ctid
        from run_stats r
        where r.namespace = n.name and r.is_hour
          and r.starts_at < now() - make_interval(days => least(n.run_retention_days, nullif(@days::integer, 0)))
        limit @max_rows
    ) h
    limit @max_rows
));

-- name: ListEndedRuns :many
-- The stored runs of a job from one instant on and before another, newest first, narrow. Like
-- ListRuns, it locks each partition that holds a part of this time (RunsPageStart).
select r.scheduled_for, r.started_at, r.finished_at, r.status, r.trigger, r.occurrences
from runs r
where r.job_id = @job_id and r.scheduled_for >= @since::timestamptz and r.scheduled_for < @before::timestamptz
order by r.scheduled_for desc
limit @max_rows;
