-- Whose failures they were. A catalog without the attribute `provider` shows "(none)". Exact counts.
SELECT {time}, provider AS metric, sum(count)::bigint AS value
FROM {series} WHERE {selected} AND {failed}
GROUP BY 1, 2 ORDER BY 1, 2
