-- How many runs have ended, and how late and how long they were, by minutes and hours.

-- name: AddRunStats :exec
-- Adds what an instance has counted, as one row for each namespace, label, minute, trigger and type
-- of target. It leaves out namespaces that are deleted by now.
--
-- Safe under concurrency: instances add to the same rows, and lock them in the order of the key. It
-- is not safe to repeat: a repetition counts the same runs again.
insert into run_stats (
    namespace, label, starts_at, trigger, target_type, succeeded, failed, canceled, skipped, labels_left_out,
    max_lateness, lateness, duration
)
select c.namespace, c.label, c.starts_at, c.trigger::run_trigger, c.target_type, c.succeeded, c.failed, c.canceled, c.skipped,
    c.labels_left_out, c.max_lateness, c.lateness::bigint[], c.duration::bigint[]
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
where exists (select from namespaces n where n.name = c.namespace and n.deleted_at is null)
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
