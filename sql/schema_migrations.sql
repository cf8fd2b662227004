-- dbmate makes this table itself; it stands here only for sqlc to know it.
create table schema_migrations (version varchar primary key);
