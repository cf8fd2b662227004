-- name: Complete :many
-- Ends a batch of runs. For each whose token is still the one of its claim: moves the due row on to next_for, or deletes
-- it where it neither carries a schedule nor has a run waiting, or nothing comes next; writes the run, unless the job keeps failures
-- only; writes what was passed over as one skipped run; and lets the job rest where nothing comes next. All or nothing. A row
-- whose token has changed is somebody else's by now and is left alone. Repeating it changes nothing: the rows have moved on.
-- Returns the runs it stored. One missing was completed before, was taken over, or what comes after it was changed since its
-- claim, or is not what Split was to make of it: ListRevised tells. It fails where an occurrence has a run already, which "on
-- conflict" would pass over at the cost of a record of the log and a look at the index for each run: ListStored tells which.
-- Empty texts and the year 1 stand for null, which an array of parameters cannot hold.
-- Each array is wrapped in a select, which hides its length from the planner: it then expects ten rows, not 500, and
-- looks each up by its key at any size of the tables, instead of reading all of due. What was moved is not looked up a
-- second time to be ended; "not in" hashes it, where a join would compare each with each.
with completion as (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token,
        unnest((select @revisions::integer[])) as revision,
        unnest((select @triggers::text[])) as trigger,
        unnest((select @retry_ofs::timestamptz[])) as retry_of,
        unnest((select @attempts::smallint[])) as attempt,
        unnest((select @started_ats::timestamptz[])) as started_at,
        unnest((select @finished_ats::timestamptz[])) as finished_at,
        unnest((select @statuses::text[])) as status,
        unnest((select @reasons::text[])) as reason,
        unnest((select @errors::text[])) as error,
        unnest((select @results::text[])) as result,
        unnest((select @failed_attempts::text[])) as failed_attempts,
        unnest((select @occurrences::integer[])) as occurrences,
        unnest((select @kept::boolean[])) as kept,
        unnest((select @next_fors::timestamptz[])) as next_for,
        unnest((select @passed_fors::timestamptz[])) as passed_for,
        unnest((select @passed_counts::integer[])) as passed_count,
        unnest((select @rest_statuses::text[])) as rest_status,
        unnest((select @rest_reasons::text[])) as rest_reason
), moved as (
    update due d
    set scheduled_for = c.next_for, ready_at = c.next_for,
        trigger = case
            when d.buffered_for = c.next_for then case when d.buffered_retry_of is null then 'MANUAL' else 'RETRY' end
            else 'SCHEDULE'
        end::run_trigger,
        retry_of = case when d.buffered_for = c.next_for then d.buffered_retry_of end,
        buffered_for = null, buffered_retry_of = null,
        -- What came due behind the run that waited was passed over with this one.
        revised_at = case when d.buffered_for = c.next_for then c.finished_at end,
        -- The job's, where that was changed while the run was in flight.
        queue = case when d.revised_at is null then d.queue else (select j.queue from jobs j where j.id = d.job_id) end,
        awaits_worker = case
            when d.revised_at is null then d.queue is not null
            else exists (select from jobs j where j.id = d.job_id and j.queue is not null)
        end,
        concurrency_group = case
            when d.revised_at is null then d.concurrency_group
            else (select j.concurrency_group from jobs j where j.id = d.job_id)
        end,
        last_run_at = case when c.attempt > 0 then c.started_at else d.last_run_at end,
        run_count = d.run_count + (c.attempt > 0)::integer,
        failures = case c.status when 'FAILED' then least(d.failures, 32766) + 1 when 'SUCCEEDED' then 0 else d.failures end,
        attempt = 0, started_at = null, cancel_reason = null, failed_attempts = null, lease_id = null
    from completion c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and d.revision = c.revision
      and ((d.carries_schedule and c.rest_status = '') or d.buffered_for = c.next_for) is true
      and c.next_for > '0001-01-01 00:00:00+00' -- else the schedule was to go on without the run, and did not
    returning c.job_id, c.scheduled_for
), ended as (
    delete from due d
    using completion c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and d.revision = c.revision
      and ((d.carries_schedule and c.rest_status = '') or d.buffered_for = c.next_for) is not true
      and (c.job_id, c.scheduled_for) not in (select m.job_id, m.scheduled_for from moved m)
    returning d.job_id, d.scheduled_for, d.carries_schedule, d.run_count
), stored as (
    select c.*
    from completion c
    where (c.job_id, c.scheduled_for) in (select m.job_id, m.scheduled_for from moved m)
       or (c.job_id, c.scheduled_for) in (select e.job_id, e.scheduled_for from ended e)
), resting as (
    -- One row for each job: an update takes only one of several.
    select e.job_id, max(s.started_at) filter (where s.attempt > 0) as started_at,
        sum(e.run_count + (s.attempt > 0)::integer) as run_count,
        max(s.rest_status) filter (where e.carries_schedule) as rest_status,
        max(s.rest_reason) filter (where e.carries_schedule) as rest_reason,
        max(s.scheduled_for) filter (where e.carries_schedule) as scheduled_for,
        bool_or(e.carries_schedule and s.rest_status = 'COMPLETED') as deletes
    from ended e
    join stored s using (job_id, scheduled_for)
    group by e.job_id
), rested as (
    update jobs j
    set last_run_at = greatest(j.last_run_at, r.started_at),
        run_count = j.run_count + r.run_count,
        status = coalesce(r.rest_status::job_status, j.status),
        status_reason = case when r.rest_status is null then j.status_reason else nullif(r.rest_reason, '') end,
        paused_since = case when r.rest_status is null then j.paused_since when r.rest_status = 'PAUSED' then r.scheduled_for end,
        updated_at = case when r.rest_status is null then j.updated_at else greatest(now(), j.created_at) end,
        deleted_at = case when r.deletes and j.delete_after_completion then coalesce(j.deleted_at, now()) else j.deleted_at end,
        -- What the user wrote goes with it, as in MarkJobDeleted.
        name = case when r.deletes and j.delete_after_completion then 'deleted' else j.name end,
        payload = case when r.deletes and j.delete_after_completion then 'null' else j.payload end,
        target = case when r.deletes and j.delete_after_completion then '{"type":"log"}' else j.target end,
        sealed_secrets = case when r.deletes and j.delete_after_completion then null else j.sealed_secrets end,
        secrets_key_id = case when r.deletes and j.delete_after_completion then null else j.secrets_key_id end,
        secret_names = case when r.deletes and j.delete_after_completion then '{}' else j.secret_names end
    from resting r
    where j.id = r.job_id
), executed as (
    insert into runs (
        job_id, scheduled_for, trigger, retry_of, started_at, finished_at, status, reason, attempt, occurrences, error, result,
        failed_attempts
    )
    select job_id, scheduled_for, trigger::run_trigger, nullif(retry_of, '0001-01-01 00:00:00+00'),
        case when attempt > 0 then started_at end, finished_at, status::run_status, nullif(reason, '')::run_reason, attempt,
        occurrences, nullif(error, ''), nullif(result, '')::json, nullif(failed_attempts, '')::jsonb
    from stored
    where kept
), passed as (
    insert into runs (job_id, scheduled_for, finished_at, status, reason, attempt, occurrences)
    select job_id, passed_for, finished_at, 'SKIPPED', 'OVERLAP', 0, passed_count
    from stored
    where passed_count > 0
    on conflict (job_id, scheduled_for) do nothing
)
select job_id::uuid as job_id, scheduled_for::timestamptz as scheduled_for
from stored;

-- name: ListRevised :many
-- Those of some runs whose claim still stands, with what has become of their due row and job since. Not stored by Complete,
-- they are to be completed by this. Takes the newest state, which is committed: Complete has waited for it.
with claim as (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token
)
select d.job_id, d.scheduled_for, d.carries_schedule, d.buffered_for, d.revision, d.revised_at, d.run_count, d.failures, sqlc.embed(j)
from claim c
join due d on d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and d.lease_id is not null
join jobs j on j.id = d.job_id;

-- name: Retry :many
-- Puts runs whose attempt failed back, each to be claimed again at its ready_at where its job is executed now, and notes the
-- failed attempt. One that is to end needs no worker any more. The jobs are locked before they are read, so that an edit under
-- way counts. Guarded by the token like Complete, and as harmless to repeat. Returns the runs it stored.
with failure as (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token,
        unnest((select @ready_ats::timestamptz[])) as ready_at,
        unnest((select @failed_attempts::jsonb[])) as failed_attempt
), job as (
    select j.id, j.queue, j.concurrency_group
    from jobs j
    where j.id in (select f.job_id from failure f)
    order by j.id
    for share
)
update due d
set ready_at = case when d.cancel_reason is null then f.ready_at else d.scheduled_for end,
    queue = j.queue, awaits_worker = j.queue is not null and d.cancel_reason is null,
    concurrency_group = j.concurrency_group, lease_id = null,
    failed_attempts = coalesce(d.failed_attempts, '[]'::jsonb) || f.failed_attempt
from failure f
join job j on j.id = f.job_id
where d.job_id = f.job_id and d.scheduled_for = f.scheduled_for and d.token = f.token and d.lease_id is not null
returning d.job_id, d.scheduled_for;

-- name: Split :exec
-- For jobs whose runs may overlap: lets the claimed run go on alone and puts the schedule on its next occurrence at once,
-- so that it does not wait for the run to end. Guarded by the token, and by the revision: where what comes next was changed since
-- the claim, the completion looks. The row is locked before it is read: an edit that this waited for counts. An instance that
-- dies before leaves the schedule on the claimed row, and whoever claims that next splits it.
with claim as (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token,
        unnest((select @revisions::integer[])) as revision,
        unnest((select @next_fors::timestamptz[])) as next_for
), held as (
    select d.job_id, d.scheduled_for, d.last_run_at, d.failures, d.concurrency_group, d.queue, d.run_count, c.next_for
    from due d
    join claim c on d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    where d.token = c.token and d.revision = c.revision and d.carries_schedule
    for update of d
), alone as (
    update due d
    set carries_schedule = false, run_count = -1 -- it counts with the schedule, here
    from held h
    where d.job_id = h.job_id and d.scheduled_for = h.scheduled_for
)
insert into due (
    job_id, scheduled_for, ready_at, carries_schedule, last_run_at, failures, concurrency_group, queue, awaits_worker, run_count
)
select job_id, next_for, next_for, true, last_run_at, failures, concurrency_group, queue, queue is not null, run_count + 1
from held
on conflict (job_id, scheduled_for) do update set carries_schedule = true;

-- name: CancelEarlier :many
-- Has the runs of a job end that began before an instant: those that execute are told so, those that wait for another attempt
-- are claimed at once, by an instance, to be ended. Returns them. Doing it twice changes nothing.
update due d
set cancel_reason = 'OVERLAP',
    ready_at = case when d.lease_id is null then d.scheduled_for else d.ready_at end,
    awaits_worker = d.awaits_worker and d.lease_id is not null
where d.job_id = @job_id and d.scheduled_for < @before::timestamptz and d.trigger <> 'BACKFILL' and d.attempt > 0
  and d.cancel_reason is null
returning d.job_id, d.scheduled_for;

-- name: ListCanceled :many
-- The runs under a lease that are to end. For an instance that may have missed being told.
select d.job_id, d.scheduled_for, d.cancel_reason
from due d
where d.ready_at <= now() + interval '1 minute' and not d.awaits_worker and d.lease_id = @lease_id and d.cancel_reason is not null;
