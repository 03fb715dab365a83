-- Whose failures they were. A catalog without the attribute `provider` shows "none". Exact counts.
SELECT $__timeGroupAlias(hour, ${bucket}), {provider} AS metric, sum(count) AS value
FROM reporting.usage
WHERE {hours} AND {selected} AND {ended} AND status <> 'ok'
GROUP BY 1, 2
ORDER BY 1, 2
