-- migrate:up

-- Returns the instant that is later than another one by an interval. A day has 24 hours, and months
-- are those of UTC. So the result is always the same, while that of "instant + by" depends on the
-- time zone of the session: Citus calls no such function with a column in an update. A session of
-- Citus on a worker looks for tables nowhere, so the body is bound to what it calls.
create function later(instant timestamptz, by interval) returns timestamptz
language sql immutable parallel safe return ((instant at time zone 'UTC') + by) at time zone 'UTC';

-- migrate:down

drop function later(timestamptz, interval);
