package main

import (
	"context"
	"fmt"
)

// The jobs and runs that find looks for. One job in thirty fires while it is measured, all of which
// write to the log; the others are due in a day or more. One in a hundred is failing.
const (
	sqlFillJobs = `insert into jobs (
			id, namespace, key, name, labels, payload, interval_seconds, anchor_at, jitter_seconds, delete_after_completion,
			misfire_policy, overlap_policy, max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds,
			run_history, target, concurrency_group, max_concurrency, status, paused_since, created_at, updated_at, updated_by,
			last_run_for, last_run_status, failures
		)
		select gen_random_uuid(), case when i % 1000 = 999 then 'small' else 'default' end,
			case when i % 2 = 0 then 'team' || i % 500 || '/job-' || i end,
			(array['settle', 'remind', 'report', 'sync', 'clean'])[1 + i % 5] || ' ' || i,
			case when i % 3 > 0 then
				jsonb_build_object('team', 't' || i % 400, 'env', (array['prod', 'stage', 'test'])[1 + i / 3 % 3])
				|| case when i % 5000 = 1 then '{"legacy":"yes"}'::jsonb else '{}' end
			end,
			'{"n":1}', case when i % 30 = 0 then $2::bigint else 604800 end, now() - random() * interval '1 day', 0, false,
			'FIRE_ONCE', 'SKIP', 3, 5, 600, 300, 'ALL',
			case
				when i % 100 = 7 then json_build_object('type', 'worker', 'queue', 'q' || i / 100 % 20)
				when i % 3 = 0 then '{"type":"log"}'
				else '{"type":"http","url":"https://example.com/x"}'
			end,
			case when i % 200 = 3 then 'g' || i / 200 % 30 end, case when i % 200 = 3 then 5 end,
			s.status, case when s.status = 'PAUSED' then now() end, now() - ($1::int - i) * interval '1 second', now(), 'bench',
			case when s.status <> 'ACTIVE' then now() - interval '1 hour' end,
			case when s.status <> 'ACTIVE' then case when i % 1000 < 22 then 'FAILED' else 'SUCCEEDED' end::run_status end,
			case when s.status <> 'ACTIVE' and i % 1000 < 22 then 2 else 0 end
		from generate_series(1, $1::int) i
		cross join lateral (
			select case when i % 50 = 1 then 'PAUSED' when i % 20 = 2 then 'COMPLETED' else 'ACTIVE' end::job_status as status
		) s`

	sqlFillDue = `insert into due (
			job_id, scheduled_for, ready_at, carries_schedule, queue, awaits_worker, concurrency_group,
			last_run_at, last_run_for, last_run_status, failures
		)
		select id, at, at, true, first_queue, first_queue is not null, qualified_group,
			case when r > 0.001 then before end, case when r > 0.001 then before end,
			case when r > 0.001 then case when r < 0.01 then 'FAILED' when r < 0.015 then 'SKIPPED' else 'SUCCEEDED' end::run_status end,
			case when r between 0.001 and 0.01 then 1 else 0 end
		from (
			select *, now() - interval '1 hour' as before, random() as r,
				case
					when interval_seconds < 604800 then
						anchor_at + ceil(extract(epoch from now() - anchor_at) / interval_seconds) * interval_seconds * interval '1 second'
					when qualified_queue is not null and random() < 0.05 then now() - interval '2 hours'
					else now() + interval '1 day' * (1 + random())
				end as at
			from jobs
			where status = 'ACTIVE'
		) j`

	// The runs of a day, $1 days ago, of jobs from all over, in the order of their instants.
	sqlFillRuns = `insert into runs (
			job_id, scheduled_for, started_at, finished_at, status, trigger, attempt, occurrences, reason, error, result
		)
		select id, at, case when r >= 0.005 then at + interval '1 millisecond' end, at + interval '200 milliseconds',
			case when r < 0.005 then 'SKIPPED' when r < 0.015 then 'FAILED' when r < 0.016 then 'CANCELED' else 'SUCCEEDED' end::run_status,
			case when r > 0.999 then 'MANUAL' else 'SCHEDULE' end::run_trigger, case when r >= 0.005 then 1 else 0 end, 1,
			case when r < 0.005 then 'OVERLAP' when r between 0.015 and 0.016 then 'REQUESTED' end::run_reason,
			case when r between 0.005 and 0.015 then 'status 500' end,
			case when r > 0.005 then '{"statusCode":200,"durationMilliseconds":199,"output":"ok","outputIsTruncated":false}'::json end
		from (
			select id, random() as r,
				date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - $1::int * interval '1 day'
					+ random() * least(interval '1 day', $1::int * interval '1 day'
						+ now() - date_trunc('day', now() at time zone 'UTC') at time zone 'UTC') as at
			from jobs tablesample system (least(100, 100.0 * $2::int / $3::int))
		) x
		order by at`

	sqlDayAgo = `select create_runs_partition((now() at time zone 'UTC')::date - $1::int)`
)

// findDays is over how many days the runs are spread that find looks for.
const findDays = 30

// findInterval is after how many seconds a job fires again, of those that do. As many fire in a
// second as in lateness.
func (b *bench) findInterval() int { return max(1, b.FindJobs/30/b.FiresPerSecond) }

// fillToFind stores the jobs and runs that find looks for.
func (b *bench) fillToFind(ctx context.Context, s *scratch) error {
	if _, err := s.pool.Exec(ctx, sqlFillJobs, b.FindJobs, b.findInterval()); err != nil {
		return fmt.Errorf("store jobs: %w", err)
	}
	for day := findDays - 1; day >= 0; day-- {
		if _, err := s.pool.Exec(ctx, sqlDayAgo, day); err != nil {
			return fmt.Errorf("create a partition: %w", err)
		}
		if _, err := s.pool.Exec(ctx, sqlFillRuns, day, b.FindRuns/findDays, b.FindJobs); err != nil {
			return fmt.Errorf("store runs: %w", err)
		}
	}
	if _, err := s.pool.Exec(ctx, sqlFillDue); err != nil {
		return fmt.Errorf("store what is due: %w", err)
	}
	if _, err := s.pool.Exec(ctx, sqlVacuum); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return b.admin(ctx, "checkpoint")
}
