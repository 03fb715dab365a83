-- How often was each event used in some hours, how many of its uses ended, and how many of these did not end well?
SELECT event, hour, sum(count)::bigint AS events,
       coalesce(sum(count) FILTER (WHERE action IN ('success', 'failure')), 0)::bigint AS ends,
       coalesce(sum(count) FILTER (WHERE action IN ('success', 'failure') AND status <> 'ok'), 0)::bigint AS failures
FROM reporting.usage
WHERE hour = ANY(%(hours)s)
GROUP BY 1, 2
