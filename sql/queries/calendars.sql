-- Days that jobs leave out, or that count for them alone. A calendar belongs to one namespace.

-- name: CreateCalendar :one
-- Stores a calendar. Two sessions that store one key wait for each other at the unique index, which
-- refuses the second.
insert into calendars (id, namespace, key, definition, valid_until, updated_by)
values (@id, @namespace, @key, @definition, @valid_until, @updated_by)
returning *;

-- name: GetCalendar :one
-- Reads a calendar.
select sqlc.embed(c), clock_timestamp()::timestamptz as read_at
from calendars c
where c.namespace = @namespace and c.key = @key;

-- name: ListCalendars :many
-- By key, those after a key: the same cost at any depth.
select sqlc.embed(c), clock_timestamp()::timestamptz as read_at
from calendars c
where c.namespace = @namespace and c.key > @after::text
order by c.key
limit @max_rows;

-- name: HoldCalendars :many
-- Keeps calendars as they are until the end of the transaction, in which a job is given their days.
-- They are locked in one order, so two transactions do not wait for each other.
select key, definition
from calendars
where namespace = @namespace and key = any(@keys::text[])
order by key
for share;

-- name: ReplaceCalendar :one
-- It waits for those who are giving the calendar's days to jobs (HoldCalendars). So whoever spreads
-- it afterwards sees these jobs. updated_at tells one state from another, also if this transaction
-- began before the one that has replaced the calendar last.
update calendars
set definition = @definition, valid_until = @valid_until, updated_at = greatest(now(), later(updated_at, interval '1 microsecond')),
    updated_by = @updated_by, is_spreading = true
where namespace = @namespace and key = @key
returning *;

-- name: LockCalendar :one
-- A deletion waits here for those who are giving the calendar's days to jobs (HoldCalendars).
select id
from calendars
where namespace = @namespace and key = @key
for update;

-- name: IsCalendarUsed :one
-- Whether a job names a calendar. The caller holds LockCalendar, so no other begins to.
select exists (
    select
    from jobs
    where namespace = @namespace and calendar_days is not null and deleted_at is null
      and (@key::text = any(skip_on) or @key::text = any(only_on))
);

-- name: DeleteCalendar :exec
-- The caller holds LockCalendar.
delete from calendars where id = @id and namespace = @namespace;

-- name: ListSpreading :many
-- The calendars, of all namespaces, whose days the jobs that name them may not have yet.
select id, namespace, key, updated_at
from calendars
where is_spreading
order by updated_at
limit @max_rows;

-- name: ListJobsWithCalendar :many
-- A page of the jobs that name a calendar, by their ids.
select id
from jobs
where namespace = @namespace and calendar_days is not null and deleted_at is null and id > @after
  and (@key::text = any(skip_on) or @key::text = any(only_on))
order by id
limit @max_rows;

-- name: MarkSpread :exec
-- All jobs have the days of a calendar, unless it was replaced again meanwhile.
update calendars
set is_spreading = false
where id = @id and updated_at = @updated_at;

-- name: ListRunningOut :many
-- The calendars, of all namespaces, that jobs name and that say nothing of the days from so many
-- days ahead on. An instance warns of them; no caller sees the answer.
select c.namespace, c.key, c.valid_until::date as valid_until
from calendars c
where c.valid_until < current_date + @days::integer
  and exists (
      select
      from jobs j
      where j.namespace = c.namespace and j.calendar_days is not null and j.deleted_at is null
        and (c.key = any(j.skip_on) or c.key = any(j.only_on))
  )
order by c.valid_until, c.namespace, c.key
limit @max_rows;
