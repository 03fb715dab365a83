-- How long did nineteen of twenty uses of some events take at most, in some hours? Of every event where none is named.
SELECT event, (reporting.duration_quantiles(sum(histogram), '{0.95}'))[1] AS p95_ms
FROM reporting.durations_by_hour
WHERE hour = ANY(%(hours)s) AND (%(events)s::text[] IS NULL OR event = ANY(%(events)s))
GROUP BY event
