{{- /*
The beginning of a statement that reads from queue: the queues in which runs wait, or are held by
workers, between two names, by name: those of workers, of connections and of concurrency groups. It
reads one entry of the index for each.
*/ -}}
{{define "with_queues" -}}
with recursive queue as (
    (
        select d.queue as name
        from due d
        where d.awaits_worker and d.queue > @first_queue::text and d.queue < @last_queue::text
        order by d.queue
        limit 1
    )
    union all
    select n.name
    from queue q
    cross join lateral (
        select d.queue as name
        from due d
        where d.awaits_worker and d.queue > q.name and d.queue < @last_queue::text
        order by d.queue
        limit 1
    ) n
)
{{- end}}
