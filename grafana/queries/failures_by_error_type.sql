-- Why uses failed: normalised error types, never a message. Exact counts.
SELECT $__timeGroupAlias(hour, ${bucket}), error_type AS metric, sum(count) AS value
FROM reporting.usage
WHERE {hours} AND {selected} AND {ended} AND status <> 'ok'
GROUP BY 1, 2
ORDER BY 1, 2
