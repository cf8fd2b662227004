{{- /*
Whether a job j of a namespace matches a filter: all of the parameters that are not null. This is
the one place that says what a filter means. Parameters that are null vanish, because they are known
when the statement is planned (database.PlanEach), so the indexes of jobs serve each filter.

A row that carries the schedule knows of later runs than its job, or of earlier ones: see the
columns of jobs.
*/ -}}
{{define "matches" -}}
    {{template "is_labeled"}}
    and (sqlc.narg(ids)::uuid[] is null or j.id = any((select sqlc.narg(ids)::uuid[])::uuid[])) -- see "Plans" in docs/performance.md
    and (sqlc.narg(keys)::text[] is null or j.key = any(sqlc.narg(keys)::text[]))
    and (sqlc.narg(name_pattern)::text is null or j.name ilike sqlc.narg(name_pattern)::text)
    and (sqlc.narg(key_prefix)::text is null or j.key ^@ sqlc.narg(key_prefix)::text)
    -- Statuses are one text, because PostgreSQL does not estimate what an array is turned into.
    and (sqlc.narg(statuses)::text is null or j.status = any(sqlc.narg(statuses)::text::job_status[]))
    and (sqlc.narg(target_type)::text is null or j.target ->> 'type' = sqlc.narg(target_type)::text)
    and (sqlc.narg(queue)::text is null or j.qualified_queue = sqlc.narg(queue)::text)
    and (sqlc.narg(concurrency_group)::text is null or j.qualified_group = sqlc.narg(concurrency_group)::text)
    and (sqlc.narg(pause_id)::uuid is null or j.pause_id = sqlc.narg(pause_id)::uuid)
    -- Only jobs that have no schedule.
    and (not coalesce(sqlc.narg(is_unscheduled)::boolean, false) or j.on_demand or j.starts_on is not null)
    and (sqlc.narg(last_run_statuses)::text[] is null and sqlc.narg(healths)::text[] is null or exists (
        select
        from (select) one
        left join due s on s.job_id = j.id and s.carries_schedule
        where (sqlc.narg(last_run_statuses)::text[] is null or case when s.last_run_for > coalesce(j.last_run_for, '-infinity')
                then s.last_run_status else j.last_run_status end = any(sqlc.narg(last_run_statuses)::text[]::run_status[]))
          and (sqlc.narg(healths)::text[] is null or job_health(
                j.status,
                case when s.last_run_for > coalesce(j.last_run_for, '-infinity') then s.failures else j.failures end,
                -- Late does not matter if only those are wanted that are worse.
                not sqlc.narg(healths)::text[] <@ '{PAUSED,FAILING}'
                    and exists (select from due r where r.job_id = j.id and is_late(r.ready_at, r.lease_id, r.awaits_worker, r.queue)),
                greatest(s.last_run_for, j.last_run_for)
            ) = any(sqlc.narg(healths)::text[]))
    ))
{{- end}}

{{- /*
Whether a job j of a namespace has the labels that a filter asks for. It calls in_one_process, so
that no statement with it is executed by several processes: to start them takes longer than most
lists take, and they would take the processors from what is due.
*/ -}}
{{define "is_labeled" -}}
    j.namespace = @namespace and j.deleted_at is null and in_one_process()
    -- The index has no entries for jobs without labels, and a selector may match them.
    and (sqlc.narg(label_names)::text[] is null or j.labels ?& sqlc.narg(label_names)::text[])
    and (sqlc.narg(label_predicate)::text is null or case
        when @needs_labels::boolean then j.labels @@ sqlc.narg(label_predicate)::text::jsonpath
        else coalesce(j.labels, '{}') @@ sqlc.narg(label_predicate)::text::jsonpath
    end)
{{- end}}
