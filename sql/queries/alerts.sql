-- What is told of jobs and queues beyond single runs: that a job fails, recovers or has not
-- succeeded for too long, and that nobody serves a queue. Each is told once, because one statement
-- notes it for all instances, in the transaction that tells it.

-- name: LockCompleted :exec
-- Locks the jobs of a completion that changes jobs, in one order for all and before it locks rows
-- of due, as edits do. Otherwise it would deadlock with edits of these jobs, which wait a second
-- for that to be found.
select id
from jobs
where id = any(@job_ids::uuid[])
order by id
for no key update;

-- name: MarkFailing :many
-- Notes that jobs are failing, of those that are not noted as such and of which so many runs in a
-- row have failed as alert_after_failures says. Returns them with that number. It belongs to the
-- transaction that has stored the failed runs: of the completions of one job that count off its
-- schedule, each waits for the one before, so one of them comes to the number. Where the number is
-- known, CountFailures says.
update jobs j
set failing_since = now()
from (
    select c.id,
        (case when c.last_run_for >= coalesce(d.last_run_for, '-infinity') then c.failures else coalesce(d.failures, c.failures) end)::smallint as failures
    from jobs c
    left join due d on d.job_id = c.id and d.carries_schedule
    where c.id = any(@job_ids::uuid[])
) c
where j.id = c.id and j.failing_since is null and j.deleted_at is null and c.failures >= j.alert_after_failures
returning j.id, c.failures;

-- name: ClearFailing :many
-- Notes that jobs are no longer failing: fewer of their latest runs have failed in a row than
-- alert_after_failures says. Returns those that were. A success that is older than failures which
-- are known, such as one of a backfill, changes nothing. It belongs to the transaction that has
-- stored the successful runs.
update jobs j
set failing_since = null
from (
    select c.id, case when c.last_run_for >= coalesce(d.last_run_for, '-infinity') then c.failures else coalesce(d.failures, c.failures) end as failures
    from jobs c
    left join due d on d.job_id = c.id and d.carries_schedule
    where c.id = any(@job_ids::uuid[])
) c
where j.id = c.id and j.failing_since is not null and c.failures < j.alert_after_failures
returning j.id;

-- name: NoteSuccesses :many
-- Notes that jobs have succeeded at an instant each, of those that are expected to. Returns those
-- that were overdue. It belongs to the transaction that has stored the runs.
with success as (
    -- One instant for each job: an update takes only one of several.
    select s.job_id, max(s.succeeded_at) as succeeded_at
    from (
        select
            unnest((select @job_ids::uuid[])) as job_id,
            unnest((select @succeeded_ats::timestamptz[])) as succeeded_at
    ) s
    group by s.job_id
), expected as (
    -- What was expected, locked, in one order for all.
    select x.job_id, x.overdue_since, s.succeeded_at, j.expect_success_within_seconds as within_seconds
    from expected_successes x
    join success s on s.job_id = x.job_id
    join jobs j on j.id = x.job_id
    order by x.job_id
    for update of x
), noted as (
    update expected_successes x
    set expected_by = greatest(x.expected_by, later(e.succeeded_at, make_interval(secs => e.within_seconds))), overdue_since = null
    from expected e
    where x.job_id = e.job_id and e.within_seconds is not null
)
select job_id
from expected
where overdue_since is not null;

-- name: ExpectSuccesses :exec
-- Expects the next success of jobs from now on, if they want that, and nothing of the others. The
-- caller has found the jobs in its namespace, and holds their locks or has just made them.
with wanted as (
    -- The jobs that are to succeed.
    select j.id, j.namespace, j.expect_success_within_seconds
    from jobs j
    where j.namespace = @namespace and j.id = any(@job_ids::uuid[]) and j.expect_success_within_seconds is not null
), forgotten as (
    delete from expected_successes x
    where x.job_id = any(@job_ids::uuid[]) and x.job_id not in (select w.id from wanted w)
)
insert into expected_successes (job_id, namespace, expected_by)
select w.id, w.namespace, now() + make_interval(secs => w.expect_success_within_seconds)
from wanted w
on conflict (job_id) do update set expected_by = excluded.expected_by, overdue_since = null;

-- name: TakeOverdue :many
-- Notes that jobs have not succeeded in time, the longest overdue first, and returns them. Nothing
-- is expected of completed jobs, and what was expected of deleted ones is forgotten. Several
-- sessions may do it at once: each job is locked by one, and told by one.
with overdue as (
    -- What was expected until now and did not come, locked.
    select x.job_id, x.expected_by
    from expected_successes x
    where x.overdue_since is null and x.expected_by <= now()
    order by x.expected_by
    limit @max_rows
    for update of x skip locked
), job as (
    -- The jobs, as far as there are any.
    select j.id
    from jobs j
    where j.id in (select o.job_id from overdue o) and j.deleted_at is null
), forgotten as (
    delete from expected_successes x
    using overdue o
    where x.job_id = o.job_id and o.job_id not in (select id from job)
), noted as (
    update expected_successes x
    set overdue_since = case when j.status <> 'COMPLETED' then o.expected_by end,
        expected_by = case when j.status <> 'COMPLETED' then x.expected_by else 'infinity' end
    from overdue o
    join jobs j on j.id = o.job_id
    where x.job_id = o.job_id and j.deleted_at is null
    returning x.job_id, o.expected_by, j.status
)
select n.expected_by as overdue_since, sqlc.embed(j),
    (case when j.last_run_for >= coalesce(d.last_run_for, '-infinity') then j.failures else coalesce(d.failures, j.failures) end)::smallint as failures,
    now()::timestamptz as read_at
from noted n
join jobs j on j.id = n.job_id
left join due d on d.job_id = j.id and d.carries_schedule
where n.status <> 'COMPLETED';

-- name: NextOverdue :one
-- In how long the next success is expected: a day if none is.
select coalesce(
    (
        select x.expected_by - clock_timestamp()
        from expected_successes x
        where x.overdue_since is null and x.expected_by < 'infinity'
        order by x.expected_by
        limit 1
    ),
    interval '1 day'
)::interval as due_in;

-- name: NoteUnattended :many
-- Notes the queues of a list, in which runs wait that nobody asks for, and forgets the others.
-- Returns those that were not noted before. The statement that made the list is a moment older: a
-- queue that another instance has noted since then is not seen here, and so not forgotten.
with forgotten as (
    delete from unattended_queues u where u.queue <> all(@queues::text[])
)
insert into unattended_queues (queue, since)
select q.queue, q.since
from (
    select
        unnest((select @queues::text[])) as queue,
        unnest((select @sinces::timestamptz[])) as since
) q
on conflict (queue) do nothing
returning queue, since;
