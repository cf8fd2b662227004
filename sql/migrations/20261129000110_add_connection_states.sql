-- migrate:up

-- A connection has a row of connection_states from when it is created. Those that are older get
-- theirs.
insert into connection_states (connection_id)
select c.id
from connections c
where not exists (select from connection_states s where s.connection_id = c.id)
on conflict (connection_id) do nothing;

-- migrate:down
