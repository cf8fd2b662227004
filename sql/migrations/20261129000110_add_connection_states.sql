-- migrate:up

-- A connection has a row of connection_states from when it is created. Those that are older get
-- theirs. The duty AddConnectionStates gives one to those that instances of the version before
-- create meanwhile.
insert into connection_states (connection_id)
select c.id
from connections c
where not exists (select from connection_states s where s.connection_id = c.id)
for key share of c skip locked
on conflict (connection_id) do nothing;

-- migrate:down
