-- The statements that undo what a clock of the database has done that was ahead and came back.

-- name: WasClockAhead :one
-- Whether an instance has written its heartbeat at a time that is still to come. A heartbeat lasts
-- for less than a minute.
select exists (select from instances where expires_at > now() + interval '2 minutes');

-- name: ForgetInstancesAhead :exec
-- Deletes the instances with such a heartbeat. One that lives writes another within seconds.
delete from instances where expires_at > now() + interval '2 minutes';

-- name: ShortenLeases :exec
-- Lets leases end when they would if they had been renewed just now. An instance's lasts less than
-- a minute.
update leases
set expires_at = later(now(), coalesce(duration, interval '1 minute'))
where expires_at > later(now(), coalesce(duration, interval '1 minute'));

-- name: ShortenWaits :exec
-- Lets connections be called again that would wait for longer than any receiver may ask for, or
-- whose next instant within their limits is to come in a while.
update connection_states
set next_start_at = least(next_start_at, now()), waits_until = least(waits_until, now()), served_at = least(served_at, now()),
    served_since = least(served_since, now())
where next_start_at > now() + interval '1 minute' or waits_until > now() + interval '1 hour' or served_at > now() + interval '1 minute';

-- name: ListToCome :many
-- The jobs whose next occurrence is to come and has not begun to wait, after an id, and which run
-- was their last.
select sqlc.embed(j), d.scheduled_for, d.last_run_for, clock_timestamp()::timestamptz as read_at
from due d
join jobs j on j.id = d.job_id
where d.carries_schedule and d.lease_id is null and d.attempt = 0 and d.trigger = 'SCHEDULE'
  and d.scheduled_for > now() + interval '1 minute' and d.job_id > @after
  and j.status = 'ACTIVE' and j.deleted_at is null
order by d.job_id
limit @max_rows;

-- name: FirstRunAhead :one
-- The first occurrence to come that has had its run, of a job, or of all of them if there is none
-- of the job: some jobs keep no runs that succeed. Now if there is none at all.
select coalesce(
    (select min(r.scheduled_for) from runs r where r.job_id = @job_id and r.scheduled_for > now() and r.status <> 'SKIPPED'),
    (select min(r.scheduled_for) from runs r where r.scheduled_for > now() and r.status <> 'SKIPPED'),
    now()
)::timestamptz as scheduled_for;
