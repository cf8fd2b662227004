-- Lists of the runs of many jobs. They go back through windows of time, newest first: one statement
-- counts what there is to look at in a window, and another one reads its runs. Each is planned for
-- its arguments (internal/history), so conditions that are not asked for cost nothing, and it locks
-- the partitions of its window only. They take no lock on rows. A run that ends while they read
-- keeps its instant and its job, so it is in the same window before and after.

-- name: CountRunsWithin :one
-- Counts the runs to look at from one instant on and before a place, of any namespace unless jobs
-- are given, up to @max_rows. Not @is_usual leaves out the mass: scheduled runs that have
-- succeeded.
select count(*)
from (
    select
    from runs r
    where @with_ended::boolean and r.scheduled_for >= @since::timestamptz
      and r.scheduled_for <= @before::timestamptz and (r.scheduled_for, r.job_id) < (@before::timestamptz, @before_job::uuid)
      and (@is_usual::boolean or r.status <> 'SUCCEEDED' or r.trigger <> 'SCHEDULE')
      and (sqlc.narg(job_ids)::uuid[] is null or r.job_id = any(sqlc.narg(job_ids)::uuid[]))
    union all
    select
    from open_runs o
    where @with_open::boolean and o.scheduled_for >= @since::timestamptz
      and o.scheduled_for <= @before::timestamptz and (o.scheduled_for, o.job_id) < (@before::timestamptz, @before_job::uuid)
      and (sqlc.narg(job_ids)::uuid[] is null or o.job_id = any(sqlc.narg(job_ids)::uuid[]))
      and (not @is_ahead::boolean or o.trigger <> 'SCHEDULE')
      and (
          (not o.awaits_worker and o.ready_at >= @since::timestamptz and o.ready_at <= @before::timestamptz)
          or o.awaits_worker or o.ready_at > o.scheduled_for
      )
    limit @max_rows
) as counted;

-- name: FindRuns :many
-- Returns the runs of a namespace from one instant on and before a place that match, newest first,
-- open and ended ones in one snapshot. A run that is ready later than its instant, or that awaits a
-- worker, has an index of its own; of the others, the instant is when they are ready.
(
    select
        o.job_id, o.scheduled_for, o.status, null::run_reason as reason, o.trigger, o.retry_of, o.attempt,
        o.started_at, null::timestamptz as finished_at, null::text as error, null::json as result,
        null::text as status_reason, 1 as occurrences, o.failed_attempts, o.executed_by,
        null::integer as job_version, o.cancel_requested_at, null::json as payload, o.caused_by, o.waiting_for,
        j.key as job_key, j.name as job_name, j.deleted_at as job_deleted_at
    from open_runs o
    join jobs j on j.id = o.job_id
    where j.namespace = @namespace and @with_open::boolean and o.scheduled_for >= @since::timestamptz
      and o.scheduled_for <= @before::timestamptz and (o.scheduled_for, o.job_id) < (@before::timestamptz, @before_job::uuid)
      and (sqlc.narg(job_ids)::uuid[] is null or o.job_id = any(sqlc.narg(job_ids)::uuid[]))
      and (not @is_ahead::boolean or o.trigger <> 'SCHEDULE')
      and (
          (not o.awaits_worker and o.ready_at >= @since::timestamptz and o.ready_at <= @before::timestamptz)
          or o.awaits_worker or o.ready_at > o.scheduled_for
      )
      and (sqlc.narg(statuses)::text[] is null or o.status = any(sqlc.narg(statuses)::text[]))
      and (sqlc.narg(triggers)::text[] is null or o.trigger::text = any(sqlc.narg(triggers)::text[]))
      -- As in matches.sql. A deleted job has no labels any more.
      and (not @has_labels::boolean or j.deleted_at is null)
      and (sqlc.narg(label_names)::text[] is null or j.labels ?& sqlc.narg(label_names)::text[])
      and (sqlc.narg(label_predicate)::text is null or coalesce(j.labels, '{}') @@ sqlc.narg(label_predicate)::text::jsonpath)
    order by o.scheduled_for desc, o.job_id desc
    limit @max_rows
)
union all
(
    select
        r.job_id, r.scheduled_for, r.status::text, r.reason, r.trigger, r.retry_of, r.attempt,
        r.started_at, r.finished_at, r.error, r.result, r.status_reason, r.occurrences, r.failed_attempts, r.executed_by,
        r.job_version, r.cancel_requested_at, null::json as payload, r.caused_by, null::text as waiting_for,
        j.key as job_key, j.name as job_name, j.deleted_at as job_deleted_at
    from runs r
    join jobs j on j.id = r.job_id
    where j.namespace = @namespace and @with_ended::boolean and r.scheduled_for >= @since::timestamptz
      and r.scheduled_for <= @before::timestamptz and (r.scheduled_for, r.job_id) < (@before::timestamptz, @before_job::uuid)
      and (@is_usual::boolean or r.status <> 'SUCCEEDED' or r.trigger <> 'SCHEDULE')
      and (sqlc.narg(job_ids)::uuid[] is null or r.job_id = any(sqlc.narg(job_ids)::uuid[]))
      and (sqlc.narg(statuses)::text[] is null or r.status::text = any(sqlc.narg(statuses)::text[]))
      and (sqlc.narg(reasons)::text[] is null or r.reason::text = any(sqlc.narg(reasons)::text[]))
      and (sqlc.narg(triggers)::text[] is null or r.trigger::text = any(sqlc.narg(triggers)::text[]))
      -- As in matches.sql. A deleted job has no labels any more.
      and (not @has_labels::boolean or j.deleted_at is null)
      and (sqlc.narg(label_names)::text[] is null or j.labels ?& sqlc.narg(label_names)::text[])
      and (sqlc.narg(label_predicate)::text is null or coalesce(j.labels, '{}') @@ sqlc.narg(label_predicate)::text::jsonpath)
    order by r.scheduled_for desc, r.job_id desc
    limit @max_rows
)
order by scheduled_for desc, job_id desc
limit @max_rows;

-- name: LastAskedFor :one
-- Returns the last instant of the open runs that somebody or an event has asked for, in any
-- namespace, or 1970 if there are none: a list need not look for others after it.
select coalesce(max(scheduled_for), 'epoch')::timestamptz from due where trigger <> 'SCHEDULE';

-- name: FewJobs :many
-- Returns the ids of the jobs of a namespace that labels select, or of all jobs, deleted ones
-- included; or some of them if there are as many as @max_rows. If there is no label to look up, the
-- order makes it walk the index of the namespace's jobs: it reads no others. It takes no lock.
(
    select j.id::uuid as id
    from jobs j
    where {{template "is_labeled"}}
    order by case when not @needs_labels::boolean then j.created_at end desc, case when not @needs_labels::boolean then j.id end desc
    limit @max_rows
)
union all
(
    select j.id
    from jobs j
    where j.namespace = @namespace and j.deleted_at is not null and not @has_labels::boolean
    limit @max_rows
)
limit @max_rows;

-- name: SizeOfRuns :one
-- Returns how many bytes the partitions have that hold runs from one instant on and before another.
-- One that is dropped meanwhile counts nothing.
select coalesce(sum(pg_relation_size(to_regclass(p.name))), 0)::bigint
from runs_partitions p
where p.first_day::timestamp at time zone 'UTC' < @before::timestamptz
  and (p.last_day + 1)::timestamp at time zone 'UTC' > @since::timestamptz;

-- name: ListRetried :many
-- Returns when some runs were retried last, of those that were: by runs from one instant on and
-- before another, or by open ones. A retry names the first run that it repeats. In the transaction
-- that holds the lock of the job, nobody retries a run of it meanwhile. It reads due, not
-- open_runs: a transaction that has waited for the lock began before the retries that it has waited
-- for.
select r.job_id::uuid as job_id, r.retry_of::timestamptz as retry_of, max(r.scheduled_for)::timestamptz as retried_at
from (
    select e.job_id, e.scheduled_for, e.retry_of
    from runs e
    where e.trigger = 'RETRY' and (e.status <> 'SUCCEEDED' or e.trigger <> 'SCHEDULE')
      and e.scheduled_for >= @since::timestamptz and e.scheduled_for < @before::timestamptz
    union all
    select d.job_id, d.scheduled_for, d.retry_of
    from due d
    where d.job_id = any(@job_ids::uuid[]) and d.retry_of is not null
    union all
    select d.job_id, d.buffered_for, d.buffered_retry_of
    from due d
    where d.job_id = any(@job_ids::uuid[]) and d.buffered_retry_of is not null
) r
join (
    select distinct
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @retry_ofs::timestamptz[])) as retry_of
) w on w.job_id = r.job_id and w.retry_of = r.retry_of
group by r.job_id, r.retry_of;
