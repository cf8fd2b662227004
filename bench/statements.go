package main

// Statements for what the service never does: creating databases, filling tables with millions of
// rows and reading the server's counters. The measured statements are the service's own, from
// package db.
const (
	sqlJobsExist = `select to_regclass('jobs') is not null`
	sqlHasJobs   = `select exists (select from jobs)`

	sqlMachine = `select current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
		current_setting('shared_buffers')`

	sqlWALPosition = `select (pg_current_wal_insert_lsn() - '0/0')::bigint`

	// Makes ids like the service's: first the time of creation, then random bits. They are a tenth
	// of a second apart, as if people had created the jobs.
	sqlSeed = `create temp table seed as
		select encode(overlay(uuid_send(gen_random_uuid()) placing
				substring(int8send(1700000000000 + n * 100) from 3) from 1 for 6), 'hex')::uuid as id,
			date_trunc('milliseconds', now()) + $2::interval
				+ case when $4 then random() else n / $1::float8 end * $3::interval as at
		from generate_series(1, $1::int) as n`

	sqlDropSeed = `drop table seed`

	sqlColumns = `select attname from pg_attribute
		where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''
		order by attnum`

	sqlForgetTemplate = `with forgotten as (delete from due where job_id = $1) delete from jobs where id = $1`

	sqlVacuum = `vacuum (analyze) due, jobs, runs`

	// Chooses jobs that are not due soon, from all over the table. It reads about twice as many.
	sqlScattered = `select job_id from due tablesample bernoulli (least(100, 200.0 * $1::int / $2::int))
		where lease_id is null and ready_at > now() + interval '1 day'
		order by random() limit $1`

	// Chooses jobs that are not due soon and were created one after the other, somewhere in the
	// first half of the table.
	sqlNeighbours = `select job_id from due
		where lease_id is null and ready_at > now() + interval '1 day'
		order by job_id offset floor(random() * ($2::int - $1::int) / 2) limit $1`

	// Moves jobs to an instant at which only they are due.
	sqlMakeDue = `update due d
		set scheduled_for = $2::timestamptz + n * interval '1 millisecond', ready_at = $2::timestamptz + n * interval '1 millisecond'
		from unnest($1::uuid[]) with ordinality as c (id, n)
		where d.job_id = c.id`

	sqlTouch = `select count(j.payload::text || d.ready_at::text) from due d join jobs j on j.id = d.job_id where d.job_id = any($1::uuid[])`

	sqlMakeBusy = `update jobs set interval_seconds = 1, anchor_at = date_trunc('second', now()) - interval '1 day' where id = any($1::uuid[])`

	sqlLateness = `select count(*),
			coalesce(1000 * extract(epoch from percentile_disc(0.5) within group (order by started_at - scheduled_for)), 0)::float8,
			coalesce(1000 * extract(epoch from percentile_disc(0.99) within group (order by started_at - scheduled_for)), 0)::float8,
			coalesce(1000 * extract(epoch from max(started_at - scheduled_for)), 0)::float8,
			coalesce(1000 * extract(epoch from min(started_at - scheduled_for)), 0)::float8
		from runs
		where status <> 'SKIPPED' and scheduled_for >= $1 and scheduled_for < $2`

	// Makes jobs members of a group. They are due since up to an hour, and then in a year.
	sqlCrowd = `with member as (
			update jobs
			set concurrency_group = 'crowd', max_concurrency = $2, interval_seconds = 31536000, anchor_at = now() - interval '1 hour' * random()
			where id in (select id from jobs where status = 'ACTIVE' limit $1)
			returning id, qualified_group, anchor_at
		)
		update due d
		set scheduled_for = m.anchor_at, ready_at = m.anchor_at, queue = m.qualified_group, concurrency_group = m.qualified_group, awaits_worker = true
		from member m
		where d.job_id = m.id
		returning m.id`
	sqlCrowdLeft = `select count(*) from due where queue = 'default/=~crowd' and awaits_worker and ready_at <= now()`

	sqlSessions = `select count(*) from pg_stat_activity where datname = current_database() and application_name = 'punctual'`

	// What instances did since they began with a backlog, per second.
	sqlDrained = `select count(*) / nullif(extract(epoch from max(finished_at) - min(started_at)), 0)::float8
		from runs
		where scheduled_for between $1 and $2`

	sqlNow  = `select clock_timestamp()`
	sqlRuns = `select count(*) from runs where status = 'SUCCEEDED'`
	sqlLeft = `select count(*) from due where ready_at <= now()`

	// Counts what was due before an instant and has not ended.
	sqlLeftOf = `select count(*) from due where ready_at < $1`

	sqlTroubled = `select count(*) from runs where status <> 'SUCCEEDED' or attempt > 1`

	sqlAllJobs = `select id from jobs`

	sqlMakeHTTP = `update jobs j
		set target = $1, sealed_secrets = s.sealed, secrets_key_id = $2, secret_names = '{signingSecrets}'
		from unnest($3::uuid[], $4::bytea[]) as s (id, sealed)
		where j.id = s.id`

	// Distributes jobs among queues by a hash, so that each execution gives the same result.
	sqlMakeQueued = `with dealt as (
			update jobs
			set target = json_build_object('type', 'worker', 'queue', 'bench-' || abs(hashtext(id::text)::bigint) % $1::int)
			returning id, qualified_queue as queue
		)
		update due d set queue = dealt.queue, awaits_worker = true from dealt where d.job_id = dealt.id`

	sqlTransactions = `select xact_commit + xact_rollback from pg_stat_database where datname = $1`

	// Any statement takes a snapshot, and vacuum keeps what is deleted after that.
	sqlHoldSnapshot = `select count(*) from leases`
)
