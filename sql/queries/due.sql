-- name: Claim :many
-- Takes up to max_rows rows that are due, or will be within the time ahead, under the caller's lease and one new token.
-- Rows another claim is taking are skipped, not waited for, so claimers never queue behind each other. A lease that has
-- run out claims nothing. Time is the database's: the answer brings its clock along, read after the rows, and the
-- caller starts none before its instant by that clock.
with candidate as (
    select d.job_id, d.scheduled_for
    from due d
    where d.ready_at <= now() + @ahead::interval
      and d.lease_id is null
      and exists (select from leases l where l.id = @lease_id and l.expires_at > now())
    order by d.ready_at
    limit @max_rows
    for update of d skip locked
), claimed as (
    update due d
    set lease_id = @lease_id, token = (select nextval('claim_tokens')), attempt = d.attempt + 1,
        started_at = coalesce(d.started_at, greatest(now(), d.ready_at))
    from candidate c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for
    returning d.job_id, d.scheduled_for, d.ready_at, d.token, d.attempt, d.started_at
)
select c.job_id, c.scheduled_for, c.ready_at, c.token, c.attempt, c.started_at::timestamptz as started_at,
    j.name, j.payload, j.interval_seconds, j.anchor_at, (j.deleted_at is not null)::boolean as deleted,
    clock_timestamp()::timestamptz as read_at
from claimed c
join jobs j on j.id = c.job_id;

-- name: NextReady :one
-- The first instant after the time ahead at which a row is due that nobody holds. What is due before that was claimed
-- just now, so the index is read from behind it, and one entry of it.
select d.ready_at, clock_timestamp()::timestamptz as read_at
from due d
where d.ready_at > now() + @ahead::interval and d.lease_id is null
order by d.ready_at
limit 1;

-- name: Complete :many
-- Ends a batch of runs: for each whose token is still the one of its claim, moves the due row on (or deletes it where
-- it does not recur), writes the run, and counts what was missed in a run of its own. All or nothing. A row whose
-- token has changed is somebody else's by now and is left alone. Repeating it changes nothing: the rows have moved on.
-- Returns the runs it stored. One missing was completed before, was taken over, or its due row was changed by an edit
-- of the job while this statement ran; only in that last case does repeating it once store it.
with completion as (
    select
        unnest(@job_ids::uuid[]) as job_id,
        unnest(@scheduled_fors::timestamptz[]) as scheduled_for,
        unnest(@tokens::bigint[]) as token,
        unnest(@attempts::smallint[]) as attempt,
        unnest(@started_ats::timestamptz[]) as started_at,
        unnest(@finished_ats::timestamptz[]) as finished_at,
        unnest(@statuses::text[]) as status,
        unnest(@reasons::text[]) as reason,
        unnest(@errors::text[]) as error,
        unnest(@next_fors::timestamptz[]) as next_for,
        unnest(@missed_fors::timestamptz[]) as missed_for,
        unnest(@missed_counts::integer[]) as missed_count
), moved as (
    update due d
    set scheduled_for = c.next_for, ready_at = c.next_for, last_run_at = c.started_at,
        attempt = 0, started_at = null, lease_id = null
    from completion c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and d.recurs
    returning c.job_id, c.scheduled_for, c.token
), ended as (
    delete from due d
    using completion c
    where d.job_id = c.job_id and d.scheduled_for = c.scheduled_for and d.token = c.token and not d.recurs
    returning d.job_id, d.scheduled_for, d.token
), rested as (
    update jobs j
    set last_run_at = greatest(j.last_run_at, c.started_at)
    from ended e
    join completion c using (job_id, scheduled_for, token)
    where j.id = e.job_id
), stored as (
    select job_id, scheduled_for, token from moved
    union all
    select job_id, scheduled_for, token from ended
), executed as (
    insert into runs (job_id, scheduled_for, started_at, finished_at, status, reason, attempt, occurrences, error)
    select job_id, scheduled_for, c.started_at, c.finished_at, c.status::run_status, nullif(c.reason, '')::run_reason, c.attempt, 1,
        nullif(c.error, '')
    from stored
    join completion c using (job_id, scheduled_for, token)
    on conflict (job_id, scheduled_for) do nothing
), missed as (
    insert into runs (job_id, scheduled_for, finished_at, status, reason, attempt, occurrences)
    select job_id, c.missed_for, c.finished_at, 'SKIPPED', 'MISFIRE', 0, c.missed_count
    from moved
    join completion c using (job_id, scheduled_for, token)
    where c.missed_count > 0
    on conflict (job_id, scheduled_for) do nothing
)
select job_id::uuid as job_id, scheduled_for::timestamptz as scheduled_for
from stored;

-- name: FreeAbandoned :execrows
-- Frees the runs whose lease has run out or is gone, for anybody to claim, and forgets such leases. A claim that commits
-- later than its lease ran out is found by the next one. Nothing is claimed a minute ahead, so the index on ready_at
-- bounds what is read. Two instances doing it at once free each row once.
with expired as (
    delete from leases
    where expires_at <= now()
)
update due d
set lease_id = null
where d.ready_at <= now() + interval '1 minute'
  and d.lease_id is not null
  and not exists (select from leases l where l.id = d.lease_id and l.expires_at > now());

-- name: StopRecurring :one
-- Takes the schedule off the job's due row, under LockJob. Waits for a claim or completion that holds the row, and
-- from then on none can change it before this transaction ends. A run in flight goes on without the schedule.
update due
set recurs = false
where job_id = @job_id and recurs
returning scheduled_for, last_run_at, (lease_id is not null)::boolean as leased;

-- name: DropOccurrence :exec
-- Removes an occurrence nobody executes, after StopRecurring in the same transaction. What was due already is not
-- dropped in silence: it leaves a skipped run, which stands for all occurrences that were due.
with dropped as (
    delete from due d
    where d.job_id = @job_id and d.scheduled_for = @scheduled_for and d.lease_id is null and not d.recurs
    returning d.job_id, d.scheduled_for
)
insert into runs (job_id, scheduled_for, finished_at, status, reason, attempt, occurrences)
select dropped.job_id, dropped.scheduled_for, clock_timestamp(), 'SKIPPED', @reason::run_reason, 0, @occurrences::integer
from dropped
where @occurrences::integer > 0
on conflict (job_id, scheduled_for) do nothing;

-- name: StartRecurring :exec
-- Puts the job's schedule on its next occurrence, under LockJob and after StopRecurring. Where that very occurrence is
-- already there, in flight, it carries the schedule on.
insert into due (job_id, scheduled_for, ready_at, recurs, last_run_at)
values (@job_id, @scheduled_for, @scheduled_for, true, sqlc.narg(last_run_at))
on conflict (job_id, scheduled_for) do update set recurs = true;
