-- The statements that store how runs ended, and what comes next. docs/performance.md, "Plans",
-- explains their shape.

-- name: Complete :many
-- Ends a batch of runs. For each run whose token is still the one of its claim, it moves the row of
-- due to next_for or removes it, and gives the job its final status if nothing comes next.
-- RecordRuns, RecordOverlaps and AuditEnds belong to the same transaction: a statement that writes
-- to due and to runs would not be sent to one node by Citus (decision 8).
--
-- Returns the runs that it ended, with what their rows of due alone know. A run is missing if it
-- was completed before, was taken over, or if something changed since its claim: what comes after
-- it (revision), or Split did not happen. ListRevised tells which.
--
-- Safe under concurrency and to repeat: a row with another token belongs to somebody else and is
-- left alone, and completed rows have moved on.
with completion as (
    -- The batch. An array holds no nulls: empty texts and the year 1 stand for them.
    select b.job_id, b.scheduled_for, b.token, b.revision, b.trigger::run_trigger as trigger,
        b.attempt, b.started_at, b.finished_at, b.status::run_status as status,
        nullif(b.next_for, '0001-01-01 00:00:00+00') as next_for,
        nullif(b.final_status, '')::job_status as final_status, nullif(b.status_reason, '') as status_reason
    from (
        select
            unnest((select @job_ids::uuid[])) as job_id,
            unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
            unnest((select @tokens::bigint[])) as token,
            unnest((select @revisions::integer[])) as revision,
            unnest((select @triggers::text[])) as trigger,
            unnest((select @attempts::smallint[])) as attempt,
            unnest((select @started_ats::timestamptz[])) as started_at,
            unnest((select @finished_ats::timestamptz[])) as finished_at,
            unnest((select @statuses::text[])) as status,
            unnest((select @next_fors::timestamptz[])) as next_for,
            unnest((select @final_statuses::text[])) as final_status,
            unnest((select @status_reasons::text[])) as status_reason
    ) b
), moved as (
    -- The rows that go on: to the next occurrence, or to the run that waited for this one. A
    -- schedule that carries on without a next occurrence was to be split off, and was not: not
    -- moved.
    update due d
    set scheduled_for = c.next_for, ready_at = c.next_for,
        trigger = case when d.buffered_for = c.next_for then coalesce(d.buffered_trigger, 'MANUAL') else 'SCHEDULE' end,
        retry_of = case when d.buffered_for = c.next_for then d.buffered_retry_of end,
        payload = case when d.buffered_for = c.next_for then d.buffered_payload end,
        caused_by = case when d.buffered_for = c.next_for then d.buffered_caused_by end,
        event_depth = case when d.buffered_for = c.next_for then d.buffered_event_depth end,
        buffered_for = null, buffered_trigger = null, buffered_retry_of = null, buffered_payload = null, buffered_caused_by = null,
        buffered_event_depth = null,
        -- The occurrences that came due while the manual run waited were skipped with this run.
        revised_at = case when d.buffered_for = c.next_for then c.finished_at end,
        -- Where the row waits, from the job if that was changed while the run was in flight. That
        -- is not known of a run that waited for this one.
        queue = case
            when d.revised_at is null and d.buffered_for is null then coalesce(d.concurrency_group, d.queue)
            else (select j.first_queue from jobs j where j.id = d.job_id)
        end,
        awaits_worker = case
            when d.revised_at is null and d.buffered_for is null then d.queue is not null
            else exists (select from jobs j where j.id = d.job_id and j.first_queue is not null)
        end,
        concurrency_group = case
            when d.revised_at is null and d.buffered_for is null then d.concurrency_group
            else (select j.qualified_group from jobs j where j.id = d.job_id)
        end,
        last_run_at = case when c.attempt > 0 then c.started_at else d.last_run_at end,
        last_run_for = c.scheduled_for, last_run_status = c.status,
        run_count = d.run_count + (c.attempt > 0)::integer,
        -- The job knows better if a later run has ended off the schedule, or an earlier one since.
        failures = case
            when c.status = 'SUCCEEDED' then 0
            else (c.status = 'FAILED')::integer + (
                select least(case when j.last_run_for >= coalesce(d.last_run_for, '-infinity') then j.failures else d.failures end, 32766)
                from jobs j
                where j.id = d.job_id
            )
        end,
        attempt = 0, started_at = null, cancel_reason = null, cancel_requested_at = null, failed_attempts = null, lease_id = null
    from completion c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and d.revision = c.revision
      and ((d.carries_schedule and c.final_status is null) or d.buffered_for = c.next_for) is true
      and c.next_for is not null
    returning c.job_id, c.scheduled_for
), removed as (
    -- The rows that end: they do not carry the schedule, or the schedule has ended.
    delete from due d
    using completion c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and d.revision = c.revision
      and ((d.carries_schedule and c.final_status is null) or d.buffered_for = c.next_for) is not true
      and (c.job_id, c.scheduled_for) not in (select m.job_id, m.scheduled_for from moved m)
    returning d.job_id, d.scheduled_for, d.carries_schedule, d.run_count, d.last_run_for, d.last_run_status, d.failures
), stored as (
    -- The part of the batch that this statement stores.
    select c.*
    from completion c
    where (c.job_id, c.scheduled_for) in (select m.job_id, m.scheduled_for from moved m)
       or (c.job_id, c.scheduled_for) in (select r.job_id, r.scheduled_for from removed r)
), finishing as (
    -- The jobs of removed rows, one row for each, because an update takes only one of several: what
    -- to count with the job, how its runs ended, what the rows knew of the runs before, and, if one
    -- of them carried the schedule, its final status.
    select r.job_id, max(s.started_at) filter (where s.attempt > 0) as started_at,
        sum(r.run_count + (s.attempt > 0)::integer) as run_count,
        max(s.scheduled_for) as ended_for, (array_agg(s.status order by s.scheduled_for desc))[1] as ended_status,
        max(s.scheduled_for) filter (where s.status = 'SUCCEEDED') as succeeded_for,
        array_agg(s.scheduled_for) filter (where s.status = 'FAILED') as failed_fors,
        array_agg(s.trigger = 'BACKFILL') filter (where s.status = 'FAILED') as are_backfilled,
        max(r.last_run_for) as last_run_for,
        (array_agg(r.last_run_status order by r.last_run_for desc nulls last))[1] as last_run_status,
        (array_agg(r.failures order by r.last_run_for desc nulls last))[1] as failures,
        max(s.final_status) filter (where r.carries_schedule) as final_status,
        max(s.status_reason) filter (where r.carries_schedule) as status_reason,
        max(s.scheduled_for) filter (where r.carries_schedule) as scheduled_for,
        max(now()) filter (where r.carries_schedule) as finished_at,
        bool_or(r.carries_schedule and s.final_status = 'COMPLETED') as completes
    from removed r
    join stored s using (job_id, scheduled_for)
    group by r.job_id
), finished as (
    -- The jobs, with their final status. delete_after_completion removes what the user wrote, as
    -- MarkJobDeleted does. What is known of the runs before comes from where the latest is known. A
    -- failure of an older run counts only if the latest failed too, and if it was not backfilled.
    update jobs j
    set last_run_at = greatest(j.last_run_at, f.started_at),
        run_count = j.run_count + f.run_count,
        (last_run_for, last_run_status, failures) = (
            select greatest(b.last_run_for, f.ended_for),
                case when f.ended_for < b.last_run_for then b.last_run_status else f.ended_status end,
                least(32767, case
                    when f.succeeded_for > coalesce(b.last_run_for, '-infinity') then (
                        select count(*)
                        from (select unnest(f.failed_fors) as failed_for) x
                        where x.failed_for > f.succeeded_for
                    )
                    else b.failures + (
                        select count(*)
                        from (select unnest(f.failed_fors) as failed_for, unnest(f.are_backfilled) as is_backfilled) x
                        where x.failed_for > coalesce(b.last_run_for, '-infinity') or (b.failures > 0 and not x.is_backfilled)
                    )
                end)
            from (
                select 2 as place, d.last_run_for, d.last_run_status, d.failures from due d where d.job_id = j.id and d.carries_schedule
                union all
                select 1, j.last_run_for, j.last_run_status, j.failures
                union all
                select 3, f.last_run_for, f.last_run_status, f.failures
            ) b
            order by b.last_run_for desc nulls last, b.place
            limit 1
        ),
        status = coalesce(f.final_status, j.status),
        status_reason = case when f.final_status is null then j.status_reason else f.status_reason end,
        paused_since = case when f.final_status is null then j.paused_since when f.final_status = 'PAUSED' then f.scheduled_for end,
        paused_by_service = case when f.final_status is null then j.paused_by_service else f.final_status = 'PAUSED' end,
        deleted_at = case when f.completes and j.delete_after_completion then least(j.deleted_at, f.finished_at) else j.deleted_at end,
        key = case when f.completes and j.delete_after_completion then null else j.key end,
        name = case when f.completes and j.delete_after_completion then 'deleted' else j.name end,
        description = case when f.completes and j.delete_after_completion then '' else j.description end,
        labels = case when f.completes and j.delete_after_completion then null else j.labels end,
        payload = case when f.completes and j.delete_after_completion then 'null' else j.payload end,
        target = case when f.completes and j.delete_after_completion then '{"type":"log"}' else j.target end,
        sealed_secrets = case when f.completes and j.delete_after_completion then null else j.sealed_secrets end,
        secrets_key_id = case when f.completes and j.delete_after_completion then null else j.secrets_key_id end,
        secret_names = case when f.completes and j.delete_after_completion then '{}' else j.secret_names end,
        secrets_digest = case when f.completes and j.delete_after_completion then null else j.secrets_digest end
    from finishing f
    where j.id = f.job_id
    returning j.id, f.final_status, f.status_reason, j.deleted_at is not null as is_deleted
), forgotten as (
    -- The versions of deleted jobs, because they contain what the user wrote.
    delete from job_versions v
    where v.job_id = any(array(select f.id from finished f where f.is_deleted))
)
select s.job_id::uuid as job_id, s.scheduled_for::timestamptz as scheduled_for,
    coalesce(case
        when s.status <> 'SUCCEEDED' then (
            select d.cancel_requested_at from due d where d.job_id = s.job_id and d.scheduled_for = s.scheduled_for
        )
    end, '0001-01-01 00:00:00+00')::timestamptz as cancel_requested_at,
    -- Only a run that somebody or an event has started has them.
    coalesce(case
        when s.trigger <> 'SCHEDULE' then (
            select d.payload::text from due d where d.job_id = s.job_id and d.scheduled_for = s.scheduled_for
        )
    end, '')::text as payload,
    coalesce(case
        when s.trigger <> 'SCHEDULE' then (
            select d.caused_by from due d where d.job_id = s.job_id and d.scheduled_for = s.scheduled_for
        )
    end, '00000000-0000-0000-0000-000000000000')::uuid as caused_by,
    coalesce(f.final_status::text, '')::text as final_status, coalesce(f.status_reason, '')::text as status_reason,
    coalesce(f.is_deleted, false)::boolean as is_deleted
from stored s
left join finished f on f.id = s.job_id and f.final_status is not null;

-- name: RecordRuns :exec
-- Writes the runs that Complete has ended, unless the job keeps failures only. It fails if an
-- occurrence has a run already: "on conflict" would cost a record of the log and a look at the
-- index for each run. ListStored finds the run. Empty texts, the year 1 and version 0 stand for
-- nulls.
insert into runs (
    job_id, scheduled_for, trigger, retry_of, started_at, finished_at, status, reason, attempt, occurrences, error, result,
    failed_attempts, executed_by, job_version, cancel_requested_at, payload, caused_by
)
select b.job_id, b.scheduled_for, b.trigger::run_trigger, nullif(b.retry_of, '0001-01-01 00:00:00+00'),
    case when b.attempt > 0 then b.started_at end, b.finished_at, b.status::run_status, nullif(b.reason, '')::run_reason, b.attempt,
    b.occurrences, nullif(b.error, ''), nullif(b.result, '')::json, nullif(b.failed_attempts, '')::jsonb, nullif(b.executed_by, ''),
    nullif(b.job_version, 0), nullif(b.cancel_requested_at, '0001-01-01 00:00:00+00'), nullif(b.payload, '')::json,
    nullif(b.caused_by, '00000000-0000-0000-0000-000000000000')
from (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @triggers::text[])) as trigger,
        unnest((select @retry_ofs::timestamptz[])) as retry_of,
        unnest((select @attempts::smallint[])) as attempt,
        unnest((select @started_ats::timestamptz[])) as started_at,
        unnest((select @finished_ats::timestamptz[])) as finished_at,
        unnest((select @statuses::text[])) as status,
        unnest((select @reasons::text[])) as reason,
        unnest((select @errors::text[])) as error,
        unnest((select @results::text[])) as result,
        unnest((select @executed_bys::text[])) as executed_by,
        unnest((select @failed_attempts::text[])) as failed_attempts,
        unnest((select @occurrences::integer[])) as occurrences,
        unnest((select @job_versions::integer[])) as job_version,
        unnest((select @cancel_requested_ats::timestamptz[])) as cancel_requested_at,
        unnest((select @payloads::text[])) as payload,
        unnest((select @caused_bys::uuid[])) as caused_by
) b;

-- name: RecordOverlaps :exec
-- Writes the occurrences that came due during runs and are not executed, each with those after it
-- as one run, unless there is another run of the instant.
insert into runs (job_id, scheduled_for, finished_at, status, reason, attempt, occurrences)
select b.job_id, b.scheduled_for, b.finished_at, 'SKIPPED', 'OVERLAP', 0, b.occurrences
from (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @finished_ats::timestamptz[])) as finished_at,
        unnest((select @occurrences::integer[])) as occurrences
) b
on conflict (job_id, scheduled_for) do nothing;

-- name: AuditEnds :exec
-- Writes to the audit, as AddToAudit does, which jobs Complete has paused or completed.
insert into audit (namespace, actor, operation, resource_type, resource_id, result)
select b.namespace, 'system', b.operation, 'JOB', b.job_id::text, b.result::json
from (
    select
        unnest((select @namespaces::text[])) as namespace,
        unnest((select @operations::text[])) as operation,
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @results::text[])) as result
) b;

-- name: ListRevised :many
-- The runs of a batch whose claim still stands, with what has become of their row and job since.
-- Complete did not store them; compute what comes next from this and complete them again. Complete
-- has waited for the change, so this sees it committed.
with claim as (
    select
        unnest((select @job_ids::uuid[])) as job_id,
        unnest((select @scheduled_fors::timestamptz[])) as scheduled_for,
        unnest((select @tokens::bigint[])) as token
)
select d.job_id, d.scheduled_for, d.carries_schedule, d.buffered_for, d.revision, d.revised_at, d.run_count, d.last_run_for, d.failures,
    sqlc.embed(j)
from claim c
join due d on d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and d.lease_id is not null
join jobs j on j.id = d.job_id;
