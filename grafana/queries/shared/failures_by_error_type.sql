-- Why uses failed: normalised error types, never a message. Exact counts.
SELECT {time}, error_type AS metric, sum(count)::bigint AS value
FROM {series} WHERE {selected} AND {failed}
GROUP BY 1, 2 ORDER BY 1, 2
