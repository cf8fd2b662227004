package jobs

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
)

// fillJobs stores jobs in all the states that there are: one in a thousand is in another namespace.
func fillJobs(t *testing.T, pool *pgxpool.Pool, count int) {
	t.Helper()
	for _, statement := range []string{
		`
		insert into jobs (
			id, namespace, key, name, labels, payload, interval_seconds, anchor_at, jitter_seconds, delete_after_completion,
			misfire_policy, overlap_policy, max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds,
			run_history, target, concurrency_group, max_concurrency, status, paused_since, pause_id, created_at, updated_at,
			updated_by, last_run_for, last_run_status, failures, deleted_at
		)
		select gen_random_uuid(), case when i % 1000 = 999 then 'other' else 'default' end,
			case when i % 2 = 0 then 'team' || i % 50 || '/job-' || i end,
			(array['settle', 'Remind', 'rep_ort', 'sync%', 'clean'])[1 + i % 5] || ' ' || i / 2,
			case when i % 3 > 0 then
				jsonb_build_object('team', 't' || i % 40, 'example.com/env', (array['prod', 'stage', 'test'])[1 + i % 3])
				|| case when i % 500 = 1 then '{"legacy": "yes"}'::jsonb else '{}' end
			end,
			'{}', 3600, now(), 0, false, 'FIRE_ONCE', 'SKIP', 3, 5, 600, 300, 'ALL',
			case
				when i % 100 = 7 then json_build_object('type', 'worker', 'queue', 'q' || i % 20)
				when i % 3 = 0 then '{"type":"log"}'
				else '{"type":"http","url":"https://example.com/x"}'
			end,
			case when i % 200 = 3 then 'group ' || i % 30 end, case when i % 200 = 3 then 5 end,
			s.status, case when s.status = 'PAUSED' then now() end,
			case when i % 1000 = 50 then '0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e'::uuid end,
			now() - make_interval(secs => i / 2), now(), 'test',
			case when s.status <> 'ACTIVE' and i % 7 > 0 then now() - interval '1 hour' end,
			case when s.status <> 'ACTIVE' and i % 7 > 0 then (array['SUCCEEDED', 'FAILED', 'CANCELED'])[1 + i % 3]::run_status end,
			case when s.status <> 'ACTIVE' and i % 7 > 0 and i % 3 = 1 then 2 else 0 end,
			case when i % 900 = 1 then now() end
		from generate_series(1, $1::integer) i
		cross join lateral (
			select case when i % 50 = 0 then 'PAUSED' when i % 20 = 1 then 'COMPLETED' else 'ACTIVE' end::job_status as status
		) s`, `
		insert into due (
			job_id, scheduled_for, ready_at, carries_schedule, queue, awaits_worker, concurrency_group,
			last_run_for, last_run_status, failures
		)
		select id, s.at, s.at, true, first_queue, first_queue is not null, qualified_group,
			case when n % 100 > 0 then s.at - interval '1 hour' end,
			case when n % 100 > 0 then
				case when n % 100 < 3 then 'FAILED' when n % 100 < 5 then 'SKIPPED' else 'SUCCEEDED' end::run_status
			end,
			case when n % 100 between 1 and 2 then 1 else 0 end
		from (
			select *, row_number() over (order by name, id) as n
			from jobs
			where status = 'ACTIVE' and deleted_at is null
		) j
		cross join lateral (
			select now() + case when n % 70 = 1 then make_interval(mins => (n % 60)::integer - 180) else make_interval(hours => 1 + (n % 60)::integer) end as at
		) s
		where $1::integer > 0`, `analyze jobs, due`,
	} {
		args := []any{count}
		if strings.HasPrefix(statement, "analyze") {
			args = nil
		}
		_, err := pool.Exec(t.Context(), statement, args...)
		require.NoError(t, err)
	}
}

// matches is what the template matches does, for a job as it was read.
func (f *Filter) matches(v *View) bool {
	of := func(group *string) string {
		if group == nil {
			return ""
		}
		return access.Unqualified(*group)
	}
	key := ""
	if v.Job.Key != nil {
		key = *v.Job.Key
	}
	return (f.Name == "" || strings.Contains(strings.ToLower(v.Job.Name), strings.ToLower(f.Name))) &&
		(len(f.IDs) == 0 || slices.Contains(f.IDs, v.Job.ID)) &&
		(len(f.Keys) == 0 || slices.Contains(f.Keys, key)) &&
		(f.KeyPrefix == "" || strings.HasPrefix(key, f.KeyPrefix)) && f.Labels.Matches(v.Job.Labels) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, v.Job.Status)) &&
		(f.TargetType == "" || strings.Contains(string(v.Job.Target), `"`+f.TargetType+`"`)) &&
		(f.Queue == "" || f.Queue == of(v.Job.QualifiedQueue)) &&
		(f.ConcurrencyGroup == "" || f.ConcurrencyGroup == orEmpty(v.Job.ConcurrencyGroup)) &&
		(f.PauseID == nil || (v.Job.PauseID != nil && *v.Job.PauseID == *f.PauseID)) &&
		(len(f.LastRunStatuses) == 0 || (v.LastRun != nil && slices.Contains(f.LastRunStatuses, v.LastRun.Status))) &&
		(len(f.Health) == 0 || slices.Contains(f.Health, v.Health))
}
