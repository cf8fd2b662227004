-- Only sqlc reads this file. It makes the types of gen/db fit what the queries return.

-- PostgreSQL gives every table this column.
alter table due add column ctid tid;

-- The rows of due that a claim returns. The queries name their common table expression so: they
-- return all columns of due, of which these are not null in a row that is held.
create table claimed (like due);
alter table claimed alter column lease_id set not null;
alter table claimed alter column started_at set not null;
