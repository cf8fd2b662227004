-- PostgreSQL gives every table such columns; they stand here only for sqlc to know them.
alter table due add column ctid tid;
